"""The text of `fallback.conf` beside the sounds: the numbers that the hook refuses while the service is down. They are
suspended, or never originate.

It is in Asterisk's configuration syntax, and the hook reads it with AST_CONFIG(). It survives both processes and needs
no reload; the registry can change while Asterisk is down. docs/adr/0002 says why it is not AstDB or a generated
include. `fallback` writes it.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import ceil, floor, inf
from pathlib import Path
from typing import Final, Protocol

from idtone import dialplan
from idtone.calls import NeverOriginates, Suspension
from idtone.errors import FallbackError
from idtone.number_spans import NumberSpan, disjoint, patterns
from idtone.translation import Message

ENTRIES_LIMIT: Final = 100_000
"""The most entries for the suspended numbers, if members' stocks are among them."""
NEVER_LIMIT: Final = 200_000
"""The most entries for the numbers that never originate. They are in sections, so a look-up visits a thousandth."""


class NeverOriginatingNumbers(Protocol):
    """The numbers that never originate, of one edition of their list."""

    def placed(self) -> Iterable[tuple[NumberSpan, NeverOriginates]]:
        """All of them, ascending by first number."""
        ...


class SuspendingRegistry(Protocol):
    """What the file needs from a registry."""

    @property
    def version(self) -> int: ...
    @property
    def origin(self) -> str:
        """A digest of the files from which it was read."""
        ...

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        """What is suspended, ascending by first number; if not `stocks`, without the stocks of suspended members."""
        ...

    @property
    def never_originating(self) -> NeverOriginatingNumbers | None:
        """The numbers that never originate; None if there is no list."""
        ...


@dataclass(frozen=True, slots=True)
class End:
    """The end of a whole file: the version of its registry, and the digest of that registry's files."""

    version: int
    origin: str


def render(
    suspended: Iterable[tuple[NumberSpan, Suspension]], version: int = 0, origin: str = "",
    never: Iterable[tuple[NumberSpan, NeverOriginates]] = (),
) -> str:  # fmt: skip
    """The file's text: what is suspended, ascending by first number, as patterns with their times; what never
    originates, in the same way, in sections; then its end.

    `81312345xxx = 1767193200:1769871600/1772290800` suspends a thousand numbers from the first to before the second
    second since 1970, and again from the third on.
    """
    return _rendered(suspended, version, origin, _sections(islice(_entries(never), NEVER_LIMIT)))


def _rendered(
    suspended: Iterable[tuple[NumberSpan, Suspension]], version: int, origin: str, sections: Iterable[str]
) -> str:
    entries = "\n".join(
        (
            "; Written by idtone; the hook reads it while the service is down.",
            f"[{dialplan.FALLBACK_SUSPENDED}]",
            *(f"{pattern} = {times}" for pattern, times in _entries(suspended)),
            *sections,
            "",
        )
    )
    digest = hashlib.sha256(entries.encode("ascii")).hexdigest()
    return (
        f"{entries}[{dialplan.FALLBACK_END}]\nregistry = {version}\norigin = {origin}\nsha256 = {digest}\n"
        f"{dialplan.FALLBACK_COMPLETE} = yes\n"
    )


_END: Final = re.compile(
    rf"\[{dialplan.FALLBACK_END}\]\nregistry = (\d+)\norigin = (\w*)\nsha256 = (\w+)\n"
    rf"{dialplan.FALLBACK_COMPLETE} = yes\n".encode()
)


def end_of(octets: bytes) -> End | None:
    """None if the file is cut or was changed."""
    at = octets.rfind(f"[{dialplan.FALLBACK_END}]".encode())
    found = _END.fullmatch(octets, max(0, at))
    if not found or hashlib.sha256(octets[:at]).hexdigest().encode() != found[3]:
        return None
    return End(int(found[1]), found[2].decode())


def _sections(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The lines of the numbers that never originate, by section."""
    sections: dict[str, list[str]] = {}
    for pattern, times in entries:
        digits = pattern.rstrip("x")[-dialplan.FALLBACK_NEVER_DIGITS :]
        sections.setdefault(digits, []).append(f"{pattern} = {times}")
    if sections:
        yield from (f"[{dialplan.FALLBACK_LIST}]", f"entries = {sum(map(len, sections.values()))}")
    for digits, lines in sorted(sections.items()):
        yield f"[{dialplan.FALLBACK_NEVER}{digits}]"
        yield from lines


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the file lacks because it would need too many entries."""

    stocks: bool
    """The stocks of suspended members."""
    never: bool
    """The last of the numbers that never originate."""

    def __bool__(self) -> bool:
        return self.stocks or self.never


def text_for(registry: SuspendingRegistry) -> tuple[str, LeftOut]:
    """The file's text for a registry, and what it lacks.

    The stocks of suspended members may have a million separate numbers. Asterisk searches the file's entries one by
    one, so the stocks are left out if they need more than `ENTRIES_LIMIT`.
    """
    fits = sum(1 for _ in islice(_entries(registry.suspended_spans()), ENTRIES_LIMIT + 1)) <= ENTRIES_LIMIT
    sections, all_of_them = _never_originating(registry.never_originating)
    suspended = registry.suspended_spans(stocks=fits)
    text = _rendered(suspended, registry.version, registry.origin, sections)
    return text, LeftOut(not fits, not all_of_them)


_last: tuple[NeverOriginatingNumbers, list[str], bool] | None = None
"""The sections of the last list. A long one takes a second, and each suspension renders the file again."""


def _never_originating(numbers: NeverOriginatingNumbers | None) -> tuple[list[str], bool]:
    """The lines of the numbers that never originate, and whether they are all."""
    global _last
    if numbers is None:
        return [], True
    if _last is None or _last[0] is not numbers:
        entries = list(islice(_entries(numbers.placed()), NEVER_LIMIT + 1))
        _last = numbers, list(_sections(entries[:NEVER_LIMIT])), len(entries) <= NEVER_LIMIT
    return _last[1], _last[2]


def _entries(suspended: Iterable[tuple[NumberSpan, Suspension | NeverOriginates]]) -> Iterator[tuple[str, str]]:
    """Pattern and times; neighbours with the same times share patterns."""
    timed = ((span, "/".join(_times(suspensions))) for span, suspensions in disjoint(suspended))
    first, last, times = 0, -1, ""
    for span, these in timed:
        if these != times or span.first != last + 1:
            yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))
            first, times = span.first, these
        last = span.last
    yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))


def _times(suspensions: Iterable[Suspension | NeverOriginates]) -> Iterator[str]:
    """When one of them is in force, in Unix seconds. A fraction of a second suspends rather than not."""
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


def remembered(directory: Path) -> dict[str, tuple[Suspension | NeverOriginates, ...]]:
    """Read the suspensions, and the numbers that never originate, from the existing file, by pattern. Empty if the file
    does not exist.

    A service that starts without a registry uses them, so a suspended number stays suspended. Raises FallbackError if
    the file cannot be read, or is not whole.
    """
    path = directory / dialplan.FALLBACK_FILE
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    try:
        octets = path.read_bytes()
        parser.read_string(octets.decode("ascii") if end_of(octets) else "", str(path))
        return _remembered(parser)
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


def _remembered(parser: configparser.ConfigParser) -> dict[str, tuple[Suspension | NeverOriginates, ...]]:
    found: dict[str, tuple[Suspension | NeverOriginates, ...]] = {
        pattern: tuple(Suspension(*period) for period in _periods(times))
        for pattern, times in parser[dialplan.FALLBACK_SUSPENDED].items()
    }
    for section in parser.sections():
        if section.startswith(dialplan.FALLBACK_NEVER):
            for pattern, times in parser[section].items():
                never = (NeverOriginates(*period) for period in _periods(times))
                found[pattern] = (*found.get(pattern, ()), *never)
    return found


def _periods(times: str) -> Iterator[tuple[datetime, datetime | None]]:
    for period in times.split("/"):
        since, _, until = period.partition(":")
        yield datetime.fromtimestamp(int(since), UTC), datetime.fromtimestamp(int(until), UTC) if until else None
