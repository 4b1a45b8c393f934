"""The file by which the hook decides while the service is down: `fallback.conf` beside the sounds.

The service writes it in Asterisk's configuration syntax, and the hook reads it with AST_CONFIG(). It survives both
processes, is replaced atomically, and needs no reload; the registry can change while Asterisk is down. docs/adr/0002
says why it is not AstDB or a generated include.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone import dialplan
from idtone.calls import Direction, Party, Suspension
from idtone.decision import Policy, Registry, Unlicensed
from idtone.errors import FallbackError
from idtone.files import replace_durably
from idtone.translation import Message

_MODE: Final = 0o640
"""Other users must not read the suspended numbers; Asterisk's user reads them through the folder's group."""


def render(suspensions: Iterable[Suspension], policy: Policy, fallback: Unlicensed, answer_first: bool = False) -> str:
    """The file's text: the policy, then for each suspended number: E.164 digits = start in Unix seconds."""
    who_hears = {
        direction: dialplan.parties_word(tuple(party for party in Party if party in policy.notify[direction]))
        for direction in Direction
    }
    numbers = sorted((s.number.e164.lstrip("+"), int(s.since.timestamp())) for s in suspensions)
    return "\n".join(
        (
            "; Written by idtone; the hook reads it while the service is down.",
            f"[{dialplan.FALLBACK_POLICY}]",
            f"fallback = {fallback}",
            f"refuse_cause = {policy.refuse_cause}",
            *(f"{direction} = {word}" for direction, word in who_hears.items()),
            f"answer_first = {'yes' if answer_first else 'no'}",
            f"[{dialplan.FALLBACK_SUSPENDED}]",
            *(f"{number} = {since}" for number, since in numbers),
            "",
        )
    )


def remembered(directory: Path) -> dict[str, datetime]:
    """Read the suspensions from the existing file: E.164 number → start. Empty if the file does not exist.

    A service that starts without a registry uses them, so a suspended number stays suspended. Raises FallbackError if
    the file cannot be read or has another format.
    """
    path = directory / dialplan.FALLBACK_FILE
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    try:
        parser.read_string(path.read_text("ascii"), str(path))
        numbers = parser[dialplan.FALLBACK_SUSPENDED]
        return {f"+{number}": datetime.fromtimestamp(int(since), UTC) for number, since in numbers.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, OverflowError, configparser.Error) as error:
        raise FallbackError(
            Message(
                "{path}: the suspended numbers cannot be read, and the registry is missing; "
                "make the registry available",
                path=path,
            )
        ) from error


def leave(directory: Path, text: str) -> None:
    """Write the file durably and atomically. Raises FallbackError if it cannot be written."""
    try:
        group = directory.stat().st_gid
        replace_durably(directory / dialplan.FALLBACK_FILE, text.encode("ascii"), _MODE, group)
    except OSError as error:
        raise FallbackError(
            Message(
                "{directory}: the suspended numbers cannot be written for Asterisk: {reason}. While this service "
                "is down, Asterisk connects numbers that were suspended after the last write. Allow the user that runs "
                "idtone to write to this folder, and run: chmod g+s {directory}",
                directory=directory,
                reason=error.strerror,
            )
        ) from error


class Fallback:
    """Keeps the file up to date with the registry in use. Without a registry the file stays as it is: only a newer
    registry lifts a suspension.
    """

    def __init__(self, directory: Path, policy: Policy, fallback: Unlicensed, answer_first: bool) -> None:
        self._directory = directory
        self._policy = policy
        self._fallback = fallback
        self._answer_first = answer_first
        self._left: Registry | None = None
        self.trouble = ""
        """Why the file is out of date; empty if it is up to date."""

    def update(self, registry: Registry | None) -> None:
        """Write the file if the registry has changed. Raises FallbackError; the next call tries again."""
        if registry is None or registry is self._left:
            return
        try:
            leave(self._directory, render(registry.suspensions(), self._policy, self._fallback, self._answer_first))
        except FallbackError as error:
            self.trouble = str(error)
            raise
        self._left, self.trouble = registry, ""
