"""Look-ups of suspensions by number, built from the entries of suspensions.yaml."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Final

from idtone.core.calls import Period, Suspension
from idtone.core.number_spans import NumberSpan, disjoint

from .compiled_registry import BLOCK_DIGITS, utc
from .holder_spans import BLOCK
from .model import SuspensionEntry, SuspensionKind
from .number_notation import read_either


def scope_of(entry: SuspensionEntry) -> NumberSpan | str | None:
    """The numbers or member that an entry names; None if it names neither. Raises NumberError."""
    span = read_either(entry.number, entry.numbers)
    return entry.member if span is None else span


def stops(entries: Iterable[SuspensionEntry]) -> Iterator[SuspensionEntry]:
    """Entries that refuse calls, excluding those that only forbid new numbers."""
    return (entry for entry in entries if entry.kind is SuspensionKind.STOP)


class SuspendedNumbers:
    """Suspensions of one edition.

    A look-up takes one access and a bisection within a block. If a member's whole stock is suspended, the number's
    holder is also looked up.
    """

    __slots__ = ("_covering", "_firsts", "_lasts", "_placed", "all", "blocks", "entries", "stocks")

    def __init__(self, entries: Iterable[SuspensionEntry]) -> None:
        """Index entries that have passed `validation_rules`. An unreadable number raises NumberError."""
        placed: list[tuple[NumberSpan, Suspension]] = []
        stocks: dict[str, list[Suspension]] = {}
        found, entries = [], tuple(entries)
        self.entries = len(entries)
        """Number of entries of any kind."""
        for entry in stops(entries):
            suspension = Suspension(utc(entry.since), entry.until and utc(entry.until), entry.reference)
            found.append(suspension)
            scope = scope_of(entry)
            if isinstance(scope, NumberSpan):
                placed.append((scope, suspension))
            elif scope is not None:
                stocks.setdefault(scope, []).append(suspension)
        self.all: Sequence[Suspension] = tuple(found)
        """All suspensions, in file order."""
        self.stocks: Mapping[str, Sequence[Suspension]] = stocks
        """Suspensions of whole stocks, by member."""
        self._placed = sorted(placed, key=_first)
        self._firsts: list[int] = []  # a bisection in a list is faster than in an array
        self._lasts: list[int] = []
        self._covering: list[tuple[Suspension, ...]] = []
        self.blocks: dict[str, tuple[int, int]] = {}
        """Blocks touched by a suspension, as text (`+81312345`), with the start and end of their spans."""
        for at, (span, covering) in enumerate(disjoint(self._placed)):
            self._firsts.append(span.first)
            self._lasts.append(span.last)
            self._covering.append(covering)
            for block in range(span.first // BLOCK, span.last // BLOCK + 1):
                start, _ = self.blocks.get(f"+{block}", (at, at))
                self.blocks[f"+{block}"] = (start, at + 1)

    def listed(self, e164: str) -> Sequence[Suspension]:
        """Suspensions of a number (`+81312345678`), excluding those of whole stocks."""
        touching = self.blocks.get(e164[:BLOCK_DIGITS])
        if touching is None:
            return ()
        number = int(e164)
        at = bisect_right(self._firsts, number, *touching) - 1
        return self._covering[at] if at >= touching[0] and number <= self._lasts[at] else ()

    def of_stocks(self, members: Iterable[tuple[str, Period]]) -> Iterator[Suspension]:
        """Suspensions of the given members' stocks, limited to their periods.

        `members` are a number's holder and the members of its wholesale chain, each with the period in which it has the
        number.
        """
        return (each for member, period in members for each in self._of_stock(member, period))

    def _of_stock(self, member: str, period: Period) -> Iterator[Suspension]:
        """Suspensions of a member's whole stock, for a number that the member has during the period."""
        return in_period(self.stocks.get(member, ()), period)

    def disjoint(self) -> Iterator[tuple[int, int, Sequence[Suspension]]]:
        """First number, last number and suspensions of each span, ascending, excluding suspensions of whole stocks."""
        return zip(self._firsts, self._lasts, self._covering, strict=True)

    def spans(
        self, held: Callable[[str], Iterable[tuple[NumberSpan, Period]]]
    ) -> Iterator[tuple[NumberSpan, Suspension]]:
        """All suspended spans in ascending order. `held` returns a member's spans in ascending order."""
        return merge(self._placed, *(self._stock(member, held(member)) for member in self.stocks), key=_first)

    def _stock(self, member: str, held: Iterable[tuple[NumberSpan, Period]]) -> Iterator[tuple[NumberSpan, Suspension]]:
        for span, period in held:
            yield from ((span, each) for each in self._of_stock(member, period))


def in_period(suspensions: Iterable[Suspension], period: Period) -> Iterator[Suspension]:
    """The parts of suspensions that lie within the period."""
    for suspension in suspensions:
        part = suspension if period == _ALWAYS else suspension.during(period)
        if part:
            yield part


_ALWAYS: Final = Period()


def _first(placed: tuple[NumberSpan, Suspension]) -> int:
    return placed[0].first
