"""The file by which the hook decides while the service is down: `fallback.conf` beside the sounds.

The service writes it in Asterisk's configuration syntax, and the hook reads it with AST_CONFIG(). It survives both
processes, is replaced atomically, and needs no reload; the registry can change while Asterisk is down. docs/adr/0002
says why it is not AstDB or a generated include.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from math import ceil, floor, inf
from pathlib import Path
from typing import Final

from idtone import dialplan
from idtone.calls import Direction, Party, Suspension
from idtone.decision import Policy, Registry, Unlicensed
from idtone.errors import FallbackError
from idtone.files import replace_durably
from idtone.number_spans import NumberSpan, disjoint, patterns
from idtone.translation import Message

log = logging.getLogger(__name__)

ENTRIES_LIMIT: Final = 100_000
"""The most entries for the suspended numbers, if members' stocks are among them."""
_LEFT_OUT: Final = Message(
    "the numbers of the suspended members need more than {most:,} entries in {file}. While this service is down, "
    "Asterisk connects their calls; keep it running, or join these numbers to ranges in the registry",
    most=ENTRIES_LIMIT,
    file=dialplan.FALLBACK_FILE,
)
_MODE: Final = 0o640
"""Other users must not read the suspended numbers; Asterisk's user reads them through the folder's group."""


def render(
    suspended: Iterable[tuple[NumberSpan, Suspension]],
    policy: Policy,
    fallback: Unlicensed,
    answer_first: bool = False,
) -> str:
    """The file's text: the policy, then what is suspended, ascending by first number, as patterns with their times.

    `81312345xxx = 1767193200:1769871600/1772290800` suspends a thousand numbers from the first to before the second
    second since 1970, and again from the third on.
    """
    who_hears = {
        direction: dialplan.parties_word(tuple(party for party in Party if party in policy.notify[direction]))
        for direction in Direction
    }
    return "\n".join(
        (
            "; Written by idtone; the hook reads it while the service is down.",
            f"[{dialplan.FALLBACK_POLICY}]",
            f"fallback = {fallback}",
            f"refuse_cause = {policy.refuse_cause}",
            *(f"{direction} = {word}" for direction, word in who_hears.items()),
            f"answer_first = {'yes' if answer_first else 'no'}",
            f"[{dialplan.FALLBACK_SUSPENDED}]",
            *(f"{pattern} = {times}" for pattern, times in _entries(suspended)),
            "",
        )
    )


def what_fits(registry: Registry) -> tuple[Iterable[tuple[NumberSpan, Suspension]], bool]:
    """What `render` gets of a registry, and whether it is all.

    The stocks of suspended members may have a million separate numbers. Asterisk searches the file's entries one by
    one, so the stocks are left out if they need more than `ENTRIES_LIMIT`.
    """
    if sum(1 for _ in islice(_entries(registry.suspended_spans()), ENTRIES_LIMIT + 1)) <= ENTRIES_LIMIT:
        return registry.suspended_spans(), True
    return registry.suspended_spans(stocks=False), False


def _entries(suspended: Iterable[tuple[NumberSpan, Suspension]]) -> Iterator[tuple[str, str]]:
    """Pattern and times; neighbours with the same times share patterns."""
    timed = ((span, "/".join(_times(suspensions))) for span, suspensions in disjoint(suspended))
    first, last, times = 0, -1, ""
    for span, these in timed:
        if these != times or span.first != last + 1:
            yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))
            first, times = span.first, these
        last = span.last
    yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))


def _times(suspensions: Iterable[Suspension]) -> Iterator[str]:
    """When one of the suspensions is in force, in Unix seconds. A fraction of a second suspends rather than not."""
    periods = sorted(
        (max(0, floor(each.since.timestamp())), inf if each.until is None else ceil(each.until.timestamp()))
        for each in suspensions
    )
    start, end = periods[0]
    for since, until in periods[1:]:
        if since > end:
            yield f"{start}:{end}"
            start, end = since, until
        end = max(end, until)
    yield f"{start}" if end == inf else f"{start}:{max(0, int(end))}"


def remembered(directory: Path) -> dict[str, tuple[Suspension, ...]]:
    """Read the suspensions from the existing file, by pattern. Empty if the file does not exist.

    A service that starts without a registry uses them, so a suspended number stays suspended. Raises FallbackError if
    the file cannot be read or has another format.
    """
    path = directory / dialplan.FALLBACK_FILE
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    try:
        parser.read_string(path.read_text("ascii"), str(path))
        entries = parser[dialplan.FALLBACK_SUSPENDED]
        return {pattern: tuple(map(_suspension, times.split("/"))) for pattern, times in entries.items()}
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


def _suspension(times: str) -> Suspension:
    since, _, until = times.partition(":")
    return Suspension(
        datetime.fromtimestamp(int(since), UTC), datetime.fromtimestamp(int(until), UTC) if until else None
    )


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
        suspended, is_all = what_fits(registry)
        try:
            leave(self._directory, render(suspended, self._policy, self._fallback, self._answer_first))
        except FallbackError as error:
            self.trouble = str(error)
            raise
        self._left, self.trouble = registry, "" if is_all else str(_LEFT_OUT)
        if self.trouble:
            log.critical("%s", self.trouble)

    def has(self, registry: Registry | None) -> bool:
        """Whether the file has all suspensions of this registry; of None, whether nothing is wrong with it."""
        return not self.trouble and (registry is None or registry is self._left)
