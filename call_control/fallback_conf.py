"""Text of `fallback.conf`, which the hook uses to decide while the service is down.

The file lists the numbers that the hook refuses, because they are suspended or never originate calls, and the numbers
that this node may use. It is in Asterisk's configuration syntax, and the hook reads it with AST_CONFIG(). The file
survives restarts of Asterisk and the service and needs no reload. The registry can change while Asterisk is down.
docs/adr/0002 explains why the file is not AstDB or a generated include. `fallback_keeper` writes the file.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from math import ceil, floor, inf
from pathlib import Path
from typing import Final, Protocol, TypeVar

from idtone import dialplan
from idtone.core.calls import Period, Suspension
from idtone.core.decision import Policy, Remembered, Unlicensed
from idtone.core.errors import FallbackError
from idtone.core.number_spans import NumberSpan, disjoint, patterns

ENTRIES_LIMIT: Final = 100_000
"""Maximum number of entries for the node's own numbers, and for the suspended numbers if they include all numbers of
suspended members.
"""
NEVER_LIMIT: Final = 200_000
"""Maximum number of entries for the numbers that never originate. They are divided into sections, so a look-up visits
only a thousandth of them.
"""


_Entry = tuple[str, str]
"""A number pattern and its times."""


class NeverOriginatingNumbers(Protocol):
    """Interface to the numbers that never originate calls."""

    def placed(self) -> Iterable[tuple[NumberSpan, Period]]:
        """All number ranges with their periods, in ascending order."""
        ...


class FallbackOwnStops(Protocol):
    """Interface to the operator's own suspensions for the fallback file."""

    @property
    def digest(self) -> str:
        """Digest of the suspensions; empty if there are none."""
        ...

    def spans(self) -> Iterable[tuple[NumberSpan, Suspension]]:
        """Suspended number ranges in ascending order."""
        ...


class _NoStops:
    digest = ""

    def spans(self) -> Iterable[tuple[NumberSpan, Suspension]]:
        return ()


NO_OWN_STOPS: Final[FallbackOwnStops] = _NoStops()


class FallbackRegistry(Protocol):
    """Interface to a registry for the fallback file."""

    @property
    def version(self) -> int: ...
    @property
    def origin(self) -> str:
        """Digest of the files that the registry was read from."""
        ...

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        """Suspended number ranges in ascending order.

        If `stocks` is False, the numbers of suspended members are omitted.
        """
        ...

    @property
    def never_originating(self) -> NeverOriginatingNumbers | None:
        """Numbers that never originate calls, or None if the registry has no such list."""
        ...

    def own_spans(self, member: str | None) -> Iterable[tuple[NumberSpan, Period]]:
        """Number ranges that the member may use, with their periods, in ascending order.

        If `member` is None, the ranges of all members are returned.
        """
        ...


@dataclass(frozen=True, slots=True)
class UsableNumbers:
    """The numbers that the policy allows a node to use."""

    all: bool
    """True if it may use any number, because the policy connects other members' numbers and unknown ones."""
    member: str | None
    """The member whose numbers it may use; None means all members."""
    by_line: bool = False
    """True if each line of a customer may present only its own numbers (`fallback_lines`)."""

    @classmethod
    def by_policy(cls, policy: Policy, by_line: bool) -> UsableNumbers:
        foreign = policy.foreign_numbers is Unlicensed.NOTICE
        is_any = foreign and policy.unknown_numbers is Unlicensed.NOTICE
        return cls(is_any, None if foreign else policy.member, by_line)

    @property
    def digest(self) -> str:
        """Digest of the policy, which changes whenever the node's own numbers do."""
        return hashlib.sha256(f"{self.all} {self.member} {self.by_line}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FallbackText:
    """The text of `fallback.conf` and whether it is complete.

    `has_stocks` is True if the text contains all suspensions, `has_never` if it contains all numbers that never
    originate calls, and `has_own` if it contains the node's own numbers. While the service is down, the hook refuses
    every call if `has_own` is False. If `has_stocks` or `has_never` is False, it connects calls from the omitted
    numbers.
    """

    text: str
    has_stocks: bool
    has_never: bool
    has_own: bool


@dataclass(frozen=True, slots=True)
class End:
    """Last section of a complete file, which identifies the registry and policy.

    `version` and `origin` are the registry's version and digest. `usable` is the digest of `UsableNumbers`. `by_line`
    is True if each customer line may present only its own numbers.
    """

    version: int
    origin: str
    usable: str = ""
    by_line: bool = False


NO_END: Final = End(0, "")


def render(
    suspended: Iterable[tuple[NumberSpan, Suspension]],
    own: Iterable[tuple[NumberSpan, Period]] | None,
    end: End = NO_END,
    never: Iterable[tuple[NumberSpan, Period]] = (),
) -> str:
    """Build the text of `fallback.conf` from number ranges in ascending order.

    If `own` is None, the node may use any number. The entry `81312345xxx = 1767193200:1769871600/1772290800` suspends a
    thousand numbers from the first time until the second (exclusive), and again from the third time on. Times are in
    seconds since 1970.
    """
    sections = _sections(islice(entries_of(never), NEVER_LIMIT))
    return _text(entries_of(suspended), sections, _ANY if own is None else entries_of(own), end)


_ANY: Final = ((dialplan.FALLBACK_ALL, "yes"),)


def _text(suspended: Iterable[_Entry], never: Iterable[str], own: Iterable[_Entry], end: End) -> str:
    entries = "\n".join(
        (
            "; Written by idtone; the hook reads it while the service is down.",
            f"[{dialplan.FALLBACK_SUSPENDED}]",
            *(f"{pattern} = {times}" for pattern, times in suspended),
            *never,
            f"[{dialplan.FALLBACK_OWN}]",
            *(f"{pattern} = {times}" for pattern, times in own),
            "",
        )
    )
    return _ended(entries, end)


def _ended(entries: str, end: End) -> str:
    return with_end(
        entries,
        f"registry = {end.version}\norigin = {end.origin}\nusable = {end.usable}\n"
        f"{dialplan.FALLBACK_LINES} = {'yes' if end.by_line else 'no'}\n",
    )


def with_end(entries: str, facts: str = "") -> str:
    """Append the last section to the entries, with the lines `facts` and the entries' digest."""
    digest = hashlib.sha256(entries.encode("ascii")).hexdigest()
    return (
        f"{entries}[{dialplan.FALLBACK_END}]\n{facts}"
        f"{dialplan.FALLBACK_DIGEST} = {digest}\n{dialplan.FALLBACK_COMPLETE} = yes\n"
    )


_END: Final = re.compile(
    rf"\[{dialplan.FALLBACK_END}\]\nregistry = (\d+)\norigin = (\w*)\nusable = (\w*)\n"
    rf"{dialplan.FALLBACK_LINES} = (yes|no)\n{dialplan.FALLBACK_DIGEST} = (\w+)\n"
    rf"{dialplan.FALLBACK_COMPLETE} = yes\n".encode()
)


def end_of(octets: bytes) -> End | None:
    """Parse a file's last section; None if the file is truncated or was changed."""
    at = octets.rfind(f"[{dialplan.FALLBACK_END}]".encode())
    match = _END.fullmatch(octets, max(0, at))
    if not match or hashlib.sha256(octets[:at]).hexdigest().encode() != match[5]:
        return None
    return End(int(match[1]), match[2].decode(), match[3].decode(), match[4] == b"yes")


def _sections(entries: Iterable[_Entry]) -> Iterator[str]:
    sections: dict[str, list[str]] = {}
    for pattern, times in entries:
        digits = pattern.rstrip("x")[-dialplan.FALLBACK_NEVER_DIGITS :]
        sections.setdefault(digits, []).append(f"{pattern} = {times}")
    if sections:
        yield from (f"[{dialplan.FALLBACK_LIST}]", f"entries = {sum(map(len, sections.values()))}")
    for digits, lines in sorted(sections.items()):
        yield f"[{dialplan.FALLBACK_NEVER}{digits}]"
        yield from lines


def origin_with(origin: str, stops: FallbackOwnStops) -> str:
    """Combined digest of a registry and the operator's own suspensions."""
    return hashlib.sha256(f"{origin} {stops.digest}".encode()).hexdigest() if stops.digest else origin


def with_stops(octets: bytes, stops: FallbackOwnStops) -> str:
    """Add the operator's own suspensions to an existing file's text, without a registry.

    They take precedence over all other entries for the same numbers. Nothing is removed. Raises FallbackError if the
    file is incomplete.
    """
    end = end_of(octets)
    if end is None:
        raise FallbackError(
            "{file} is missing or not whole, so while this service is down, Asterisk refuses every call; run: "
            "idtone registry update",
            file=dialplan.FALLBACK_FILE,
        )
    head, _, rest = octets.decode("ascii").partition(f"[{dialplan.FALLBACK_SUSPENDED}]\n")
    entries, bracket, rest = rest.partition("[")
    own = dict(entries_of(stops.spans()))
    kept = [line for line in entries.splitlines(keepends=True) if line.partition(" = ")[0] not in own]
    lines = [f"{pattern} = {times}\n" for pattern, times in own.items()]
    last = f"[{dialplan.FALLBACK_END}]"
    before = "".join((head, f"[{dialplan.FALLBACK_SUSPENDED}]\n", *kept, *lines, bracket, rest.rpartition(last)[0]))
    return _ended(before, end)


def text_for(
    registry: FallbackRegistry,
    usable: UsableNumbers,
    never: NeverSections | None = None,
    stops: FallbackOwnStops = NO_OWN_STOPS,
) -> FallbackText:
    """Build the text of `fallback.conf` for a registry and the operator's own suspensions.

    `never` may contain sections from an earlier call for the same list. Suspended members' stocks and the node's own
    numbers can be a million single numbers, and Asterisk searches entries one by one. A list that needs more than
    `ENTRIES_LIMIT` entries is therefore omitted.
    """

    def suspended_entries(stocks: bool) -> Iterator[_Entry]:
        return entries_of(merge(registry.suspended_spans(stocks=stocks), stops.spans(), key=_first))

    stocks = _few(suspended_entries(stocks=True))
    suspended = suspended_entries(stocks=False) if stocks is None else stocks
    never = never_sections(registry.never_originating) if never is None else never
    own = _ANY if usable.all else _few(entries_of(registry.own_spans(usable.member)))
    end = End(registry.version, origin_with(registry.origin, stops), usable.digest, usable.by_line)
    return FallbackText(
        _text(suspended, never.lines, own or (), end), stocks is not None, never.are_all, own is not None
    )


@dataclass(frozen=True, slots=True)
class NeverSections:
    """Lines about the numbers that never originate calls. `are_all` is False if the list was too long."""

    numbers: NeverOriginatingNumbers | None
    lines: Sequence[str]
    are_all: bool


def never_sections(numbers: NeverOriginatingNumbers | None) -> NeverSections:
    """Build the lines about the numbers that never originate calls. A long list takes a second."""
    entries = list(islice(entries_of(numbers.placed() if numbers else ()), NEVER_LIMIT + 1))
    return NeverSections(numbers, list(_sections(entries[:NEVER_LIMIT])), len(entries) <= NEVER_LIMIT)


def _few(entries: Iterator[_Entry]) -> Sequence[_Entry] | None:
    few = list(islice(entries, ENTRIES_LIMIT + 1))
    return few if len(few) <= ENTRIES_LIMIT else None


def _first(placed: tuple[NumberSpan, _Timed]) -> int:
    return placed[0].first


class _Timed(Protocol):
    @property
    def since(self) -> datetime | None: ...
    @property
    def until(self) -> datetime | None: ...


def entries_of(spans: Iterable[tuple[NumberSpan, _Timed]]) -> Iterator[_Entry]:
    """Entries for number ranges, as patterns with their times. Adjacent ranges with equal times share patterns."""
    timed = ((span, "/".join(_times(over))) for span, over in disjoint(spans))
    first, last, times = 0, -1, ""
    for span, these in timed:
        if these != times or span.first != last + 1:
            yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))
            first, times = span.first, these
        last = span.last
    yield from ((pattern, times) for pattern in patterns(NumberSpan(first, last)))


def _times(over: Iterable[_Timed]) -> Iterator[str]:
    """Times at which at least one period is in force, in Unix seconds. Fractions are rounded outwards."""
    periods = sorted(
        (
            max(0, floor(each.since.timestamp())) if each.since else 0,
            inf if each.until is None else ceil(each.until.timestamp()),
        )
        for each in over
    )
    start, end = periods[0]
    for since, until in periods[1:]:
        if since > end:
            yield f"{start}:{end}"
            start, end = since, until
        end = max(end, until)
    yield f"{start}" if end == inf else f"{start}:{max(0, int(end))}"


def read_remembered(directory: Path) -> Remembered:
    """Numbers from an existing `fallback.conf`; empty if the file does not exist.

    A service that starts without a registry uses them to keep suspended numbers suspended and to refuse foreign
    numbers. Raises FallbackError if the file cannot be read or is incomplete.
    """
    path = directory / dialplan.FALLBACK_FILE
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    try:
        octets = path.read_bytes()
        parser.read_string(octets.decode("ascii") if end_of(octets) else "", str(path))
        suspended, own = parser[dialplan.FALLBACK_SUSPENDED], parser[dialplan.FALLBACK_OWN]
        return Remembered(
            _read(suspended, lambda since, until: Suspension(since, until)),
            None if dialplan.FALLBACK_ALL in own else _read(own, Period),
            {
                pattern: periods
                for section in parser.sections()
                if section.startswith(dialplan.FALLBACK_NEVER)
                for pattern, periods in _read(parser[section], Period).items()
            },
        )
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, OverflowError, configparser.Error) as error:
        raise FallbackError(
            "{path}: the suspended numbers cannot be read, and the registry is missing; make the registry available",
            path=path,
        ) from error


_Item = TypeVar("_Item")


def _read(
    entries: Mapping[str, str], made: Callable[[datetime, datetime | None], _Item]
) -> dict[str, tuple[_Item, ...]]:
    def read(times: str) -> _Item:
        since, _, until = times.partition(":")
        return made(datetime.fromtimestamp(int(since), UTC), datetime.fromtimestamp(int(until), UTC) if until else None)

    return {pattern: tuple(map(read, times.split("/"))) for pattern, times in entries.items()}
