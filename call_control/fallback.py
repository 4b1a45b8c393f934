"""What the service leaves with Asterisk for the time when it is down: `fallback.conf` beside the sounds.

A file in Asterisk's own configuration syntax, which the hook reads by AST_CONFIG(): it outlives both
processes, is replaced in one step, needs no reload, and does not need Asterisk to be reachable when the
registry changes. Why not AstDB or a generated include: docs/adr/0002.
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

_MODE: Final = 0o640
"""The suspended numbers are nobody else's business; Asterisk's user needs the folder's group."""


def render(
    suspensions: Iterable[Suspension], policy: Policy, service_away: Unlicensed, answer_first: bool = False
) -> str:
    """The file's text: the policy, then E.164 digits = since when, in Unix seconds."""
    hearing = {
        direction: dialplan.parties_word(tuple(party for party in Party if party in policy.notify[direction]))
        for direction in Direction
    }
    numbers = sorted((s.number.e164.lstrip("+"), int(s.since.timestamp())) for s in suspensions)
    return "\n".join(
        (
            "; Written by idtone; the hook reads it while the service is down.",
            f"[{dialplan.FALLBACK_POLICY}]",
            f"service_away = {service_away}",
            f"refuse_cause = {policy.refuse_cause}",
            *(f"{direction} = {word}" for direction, word in hearing.items()),
            f"answer_first = {'yes' if answer_first else 'no'}",
            f"[{dialplan.FALLBACK_SUSPENDED}]",
            *(f"{number} = {since}" for number, since in numbers),
            "",
        )
    )


def remembered(directory: Path) -> dict[str, datetime]:
    """The suspensions of the file that is there, E.164 → since when; none where there is no file.

    For a service that starts without a registry: what an earlier one suspended stays suspended. Raises FallbackError
    where the file cannot be read or is not one of ours.
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
            f"{path}: the suspended numbers cannot be read back, and there is no registry; mend the registry"
        ) from error


def leave(directory: Path, text: str) -> None:
    """Put the file in place, durably and in one step. Raises FallbackError where it cannot be written."""
    try:
        group = directory.stat().st_gid
        replace_durably(directory / dialplan.FALLBACK_FILE, text.encode("ascii"), _MODE, group)
    except OSError as error:
        raise FallbackError(
            f"{directory}: the suspended numbers cannot be left with Asterisk: {error.strerror}. While this service is "
            "down, Asterisk connects numbers that were suspended since. Let the user that runs idtone write to this "
            f"folder, and run: chmod g+s {directory}"
        ) from error


class Fallback:
    """Keeps the file as the registry in use says. Without a registry the suspensions of the last one stay: nothing but
    a newer registry lifts one.
    """

    def __init__(self, directory: Path, policy: Policy, service_away: Unlicensed, answer_first: bool) -> None:
        self._directory = directory
        self._policy = policy
        self._service_away = service_away
        self._answer_first = answer_first
        self._left: Registry | None = None
        self.trouble = ""
        """Why the file is not what it should be; empty if it is."""

    def keep(self, registry: Registry | None) -> None:
        """Leave a changed registry with Asterisk. Raises FallbackError; then the next call tries again."""
        if registry is None or registry is self._left:
            return
        try:
            leave(self._directory, render(registry.suspensions(), self._policy, self._service_away, self._answer_first))
        except FallbackError as error:
            self.trouble = str(error)
            raise
        self._left, self.trouble = registry, ""
