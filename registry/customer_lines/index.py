"""The compiled table of customer lines: sorted arrays for decisions, and their binary format.

Reading a million numbers takes seconds. Another process therefore compiles the table (`line_compiler`), and the service
reads the result. Only a checksum protects the result, because it is in the service's own folder.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple

from idtone.core import calls
from idtone.core.binary_table import packed_table, unpacked_table
from idtone.core.calls import Direction, ForwardedCall, Reason
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number
from idtone.registry.holder_spans import HolderSpans, read_arrays, spans_of

from .consistency import pieces
from .lines_document import ALWAYS, Entry, Period

_MAGIC: Final = b"idtone lines 4\n"
"""The format's name. Increment its number when the format changes."""
_NAMES_AT_ONCE: Final = 1000
"""Maximum number of names per JSON line, so that no single reading step delays the event loop."""

_WHOLE: Final = "."
"""Last character of a text that contains all of its run's numbers."""
_MOST_IN_TEXT: Final = 100
"""Maximum number of intervals in a text. For longer runs, the arrays are faster."""

_INCOMING: Final = Direction.INCOMING
_NOT_ITS_OWN: Final = Reason.NUMBER_OF_ANOTHER_CUSTOMER
_UNKNOWN: Final = Reason.LINE_UNKNOWN
_ALLOWED: Final = (None, None)


class Totals(NamedTuple):
    """A table's totals. `unchecked` counts the entries without a recorded check."""

    customers: int
    lines: int
    numbers: int
    entries: int
    unchecked: int


@dataclass(frozen=True, slots=True)
class Runs:
    """Number intervals in runs, each with its term (a customer and a period).

    A run's intervals are ascending and either disjoint or equal. `runs` has three values for each run: its start, its
    end, and the term of all its intervals (-1 if they differ).
    """

    runs: array[int]
    firsts: array[int]
    lasts: array[int]
    terms: array[int]


class LinesIndex:
    """An immutable edition of the table of lines. Implements `idtone.core.decision.Lines`.

    A *term* is a customer with a period. A line has one run of numbers, and lines with the same entries share a run.

    The arrays contain everything. In addition, each run has a text: its customer, its position, and the single numbers
    that belong to the customer without a time limit (`c-1;0;+81312345678+81312345679`). Finding a number in the text
    takes a third of the time of searching the arrays, which do not fit in the processor's cache. The search is exact,
    because no complete Japanese number is a prefix of another. If the run has no other numbers, its text ends with a
    period, and any number missing from it does not belong to the customer.
    """

    __slots__ = (
        "_accounts", "_customers", "_endpoints", "_fixed", "_lines", "_numbers", "_owners", "_periods", "origin",
        "totals",
    )  # fmt: skip

    def __init__(
        self,
        origin: str,
        totals: Totals,
        customers: Sequence[str],
        term_customers: array[int],
        periods: array[int],
        lines: Runs,
        numbers: HolderSpans,
        tenures: Sequence[tuple[int, ...]],
        texts: Sequence[str],
        endpoints: Iterable[tuple[str, int]],
        accounts: Iterable[tuple[str, int]],
    ) -> None:
        """Set the table's arrays.

        `origin` is the source's digest. `periods` has two values for each term. A span's holder in `numbers` is an
        index into `tenures`, the terms in which customers have the numbers. `endpoints` and `accounts` map each line to
        its run.
        """
        self.origin, self.totals = origin, totals
        self._fixed = customers, term_customers, periods, tenures, texts
        named: list[str | None] = [*customers, None]  # -1: none is named
        self._customers = [named[customer] for customer in term_customers]
        """Customer of each term."""
        moments = iter(periods)
        self._periods = {
            term: period for term, period in enumerate(zip(moments, moments, strict=True)) if period != ALWAYS
        }
        """Period of each term with a time limit."""
        self._lines, self._numbers = lines, numbers
        self._endpoints, self._accounts = _lines_of(endpoints, texts), _lines_of(accounts, texts)
        self._owners: list[str | tuple[int, ...] | None] = [None, *map(self._owner, tenures)]
        """Owner of each tenure, at its index + 1."""

    def _owner(self, tenure: tuple[int, ...]) -> str | tuple[int, ...] | None:
        """Customer who has the numbers, if there is only one and no time limit; otherwise, the tenure's terms."""
        return tenure if len(tenure) > 1 or tenure[0] in self._periods else self._customers[tenure[0]]

    def __repr__(self) -> str:
        return f"<LinesIndex of {self.totals.numbers} numbers>"

    def presentation(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        """Check whether the caller's line may present the forwarding number.

        Returns two values: the reason for a refusal (None if the line may present the number) and the customer (None if
        unknown). If the table contains the endpoint, the endpoint decides; otherwise, the account code does. An
        incoming call arrives through a trunk rather than a customer's line. It may therefore present its number and
        belongs to the customer who has that number.
        """
        if call.direction is _INCOMING:
            return None, self.customer_of(call.forwarding_number, now)
        line = self._endpoints.get(call.endpoint) or self._accounts.get(call.account)
        if line is None:
            return _UNKNOWN, None
        e164 = call.forwarding_number.e164
        if e164 in line and e164:
            return None, line[: line.find(";")] or None
        if line[-1] == _WHOLE:
            return _NOT_ITS_OWN, line[: line.find(";")] or None
        return self._searched(_run(line), e164, now)

    def _searched(self, run: int, e164: str, now: datetime) -> tuple[Reason | None, str | None]:
        """Fallback for `presentation` that searches the arrays."""
        spans, number = self._lines, int(e164 or 0)
        start, end, _ = spans.runs[3 * run : 3 * run + 3]
        at = bisect_right(spans.firsts, number, start, end) - 1
        while at >= start and number <= spans.lasts[at]:
            if self._in_force(spans.terms[at], now):
                return None, self._customers[spans.terms[at]]
            at -= 1
        return _NOT_ITS_OWN, self._customer_of_run(run, now)

    def customer_of(self, number: Number, now: datetime) -> str | None:
        """Customer who has the number at `now`, or None."""
        e164 = number.e164
        if not e164:
            return None
        owner = self._owners[self._numbers.find(int(e164))]
        if isinstance(owner, tuple):
            return next((self._customers[term] for term in owner if self._in_force(term, now)), None)
        return owner

    def customer_of_line(self, endpoint: str, account: str, now: datetime) -> str | None:
        """Customer who has the line at `now`, or None if the line is unknown."""
        line = self._endpoints.get(endpoint) or self._accounts.get(account)
        return self._customer_of_run(_run(line), now) if line else None

    def knows(self, endpoint: str) -> bool:
        return endpoint in self._endpoints

    def _customer_of_run(self, run: int, now: datetime) -> str | None:
        spans = self._lines
        start, end, common = spans.runs[3 * run : 3 * run + 3]
        terms = {common} if common >= 0 else set(spans.terms[start:end])
        found = {self._customers[term] for term in terms if self._in_force(term, now)}
        return found.pop() if len(found) == 1 else None

    def _in_force(self, term: int, now: datetime) -> bool:
        period = self._periods.get(term)
        return period is None or period[0] <= now.timestamp() < period[1]

    # -- for the hook, while the service is down -----------------------------------------------------------------------

    def groups_of_endpoints(self) -> Iterator[tuple[str, int]]:
        """Endpoints, each with its run of numbers."""
        return ((name, _run(line)) for name, line in self._endpoints.items())

    def groups_of_accounts(self) -> Iterator[tuple[str, int]]:
        return ((name, _run(line)) for name, line in self._accounts.items())

    def spans_of_groups(self) -> Iterator[Iterator[tuple[NumberSpan, calls.Period]]]:
        """Number ranges of each run, in ascending order, with the periods in which they may be presented."""
        spans = self._lines
        return (
            (
                (NumberSpan(spans.firsts[at], spans.lasts[at]), self._when(spans.terms[at]))
                for at in range(*spans.runs[run : run + 2])
            )
            for run in range(0, len(spans.runs), 3)
        )

    def _when(self, term: int) -> calls.Period:
        since, until = self._periods.get(term, ALWAYS)
        return calls.Period(
            None if since == ALWAYS[0] else datetime.fromtimestamp(since, UTC),
            None if until == ALWAYS[1] else datetime.fromtimestamp(until, UTC),
        )

    # -- as octets ----------------------------------------------------------------------------------------------------

    def pack(self) -> bytes:
        """Encode the table for `unpack` on a machine with the same byte order."""
        customers, term_customers, periods, tenures, texts = self._fixed
        lines = self._lines
        arrays = [
            term_customers,
            periods,
            *(lines.runs, lines.firsts, lines.lasts, lines.terms),
            *self._numbers.arrays(),
            array("i", map(len, tenures)),
            array("i", (term for tenure in tenures for term in tenure)),
            *(array("i", map(_run, lines.values())) for lines in (self._endpoints, self._accounts)),
        ]
        head = {"origin": self.origin, "totals": self.totals}
        names: list[list[Any]] = [list(customers), list(texts), list(self._endpoints), list(self._accounts)]
        chunks = [
            [kind, some[at : at + _NAMES_AT_ONCE]]
            for kind, some in enumerate(names)
            for at in range(0, len(some), _NAMES_AT_ONCE)
        ]
        return packed_table(_MAGIC, head, chunks, arrays)

    @classmethod
    def unpack(cls, octets: bytes) -> LinesIndex:
        """Decode a table from `pack` in small steps so that other threads can run. Raises ValueError."""
        head, lines, arrays = unpacked_table(_MAGIC, octets, "table of lines")
        names: list[list[str]] = [[], [], [], []]
        for line in lines:
            kind, some = json.loads(line)
            names[kind].extend(some)
        term_customers, periods, runs, firsts, lasts, terms = islice(arrays, 6)
        numbers = read_arrays(arrays)
        counts, of_tenures, of_endpoints, of_accounts = arrays
        customers, texts, endpoints, accounts = names
        left = iter(of_tenures)
        return cls(
            head["origin"],
            Totals(*head["totals"]),
            customers,
            term_customers,
            periods,
            Runs(runs, firsts, lasts, terms),
            numbers,
            [tuple(islice(left, count)) for count in counts],
            texts,
            zip(endpoints, of_endpoints, strict=True),
            zip(accounts, of_accounts, strict=True),
        )


def _lines_of(runs: Iterable[tuple[str, int]], texts: Sequence[str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, run in runs:  # a loop: other threads run meanwhile
        made[name] = texts[run]
    return made


def _run(text: str) -> int:
    return int(text.split(";", 2)[1])


# -- from entries ------------------------------------------------------------------------------------------------------


class _Terms:
    """Assigns numbers to the customer-period pairs."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.customers: dict[str, int] = {}
        self._terms: dict[tuple[int, Period], int] = {}
        self.of_entry = [self._term(entry) for entry in entries]

    def _term(self, entry: Entry) -> int:
        customer = -1
        if entry.customer is not None:
            customer = self.customers.setdefault(entry.customer, len(self.customers))
        return self._terms.setdefault((customer, entry.period), len(self._terms))

    def arrays(self) -> tuple[array[int], array[int]]:
        return (
            array("i", (customer for customer, _ in self._terms)),
            array("q", (moment for _, period in self._terms for moment in period)),
        )


def compile_lines(entries: Sequence[Entry], origin: str = "") -> LinesIndex:
    """Compile entries that have passed `consistency.entry_faults`."""
    terms = _Terms(entries)
    of_line = _entries_of_lines(entries)
    runs: dict[tuple[int, ...], int] = {}
    names = [{name: runs.setdefault(tuple(found), len(runs)) for name, found in each.items()} for each in of_line]
    lines = _runs(
        [[(span.first, span.last, terms.of_entry[at]) for at in run for span in entries[at].spans] for run in runs]
    )
    numbers, tenures = _numbers(entries, terms)
    covered = sum(last - first + 1 for first, last in _union(entries))
    totals = Totals(
        len(terms.customers),
        len(names[0]) + len(names[1]),
        covered,
        len(entries),
        sum(not entry.is_checked for entry in entries if entry.spans),
    )
    return LinesIndex(
        origin,
        totals,
        list(terms.customers),
        *terms.arrays(),
        lines,
        numbers,
        tenures,
        _texts(lines, terms),
        *(each.items() for each in names),
    )


def _entries_of_lines(entries: Sequence[Entry]) -> tuple[Mapping[str, list[int]], Mapping[str, list[int]]]:
    """Endpoints and account codes, each with the entries whose numbers it may present."""
    endpoints: dict[str, list[int]] = defaultdict(list)
    accounts: dict[str, list[int]] = defaultdict(list)
    of_customer: dict[str, list[int]] = defaultdict(list)
    for at, entry in enumerate(entries):
        if not entry.names_lines and entry.customer is not None:
            of_customer[entry.customer].append(at)
    for at, entry in enumerate(entries):
        for field, names in ((endpoints, entry.endpoints), (accounts, entry.accounts)):
            for name in names:
                field[name].append(at)
                if entry.customer in of_customer:
                    field[name] += of_customer[entry.customer or ""]
    for field in (endpoints, accounts):
        for name, found in field.items():
            if len(found) > 1:
                field[name] = sorted(set(found))
    return endpoints, accounts


def _runs(runs: Iterable[Iterable[tuple[int, int, int]]]) -> Runs:
    made, firsts, lasts, terms = array("q"), array("q"), array("q"), array("i")
    for run in runs:
        start, of_run = len(firsts), set()
        for first, last, items in pieces(sorted(set(run))):
            for term in sorted(set(items)):
                firsts.append(first)
                lasts.append(last)
                terms.append(term)
                of_run.add(term)
        made.extend((start, len(firsts), of_run.pop() if len(of_run) == 1 else -1))
    return Runs(made, firsts, lasts, terms)


def _texts(lines: Runs, terms: _Terms) -> list[str]:
    """Text of each run, as described in `LinesIndex`."""
    texts = []
    customers, (of_term, periods) = [*terms.customers, ""], terms.arrays()
    for run, (start, end, common) in enumerate(zip(*(lines.runs[place::3] for place in range(3)), strict=True)):
        is_plain = (
            common >= 0 and tuple(periods[2 * common : 2 * common + 2]) == ALWAYS and end - start <= _MOST_IN_TEXT
        )
        singles = [lines.firsts[at] for at in range(start, end) if lines.firsts[at] == lines.lasts[at]]
        plain = "".join(f"+{number}" for number in singles) if is_plain else ""
        if plain and len(singles) == end - start:
            plain += _WHOLE
        texts.append(f"{customers[of_term[common]] if is_plain else ''};{run};{plain}")
    return texts


def _numbers(entries: Sequence[Entry], terms: _Terms) -> tuple[HolderSpans, list[tuple[int, ...]]]:
    placed = {
        (span.first, span.last, term)
        for entry, term in zip(entries, terms.of_entry, strict=True)
        if entry.customer is not None
        for span in entry.spans
    }
    firsts, lasts, holders = array("q"), array("q"), array("i")
    tenures: dict[tuple[int, ...], int] = {}
    for first, last, items in pieces(sorted(placed)):
        firsts.append(first)
        lasts.append(last)
        holders.append(tenures.setdefault(tuple(sorted(set(items), reverse=True)), len(tenures)))
    return spans_of(firsts, lasts, holders), list(tenures)


def _union(entries: Iterable[Entry]) -> Iterator[tuple[int, int]]:
    placed = sorted({(span.first, span.last, 0) for entry in entries for span in entry.spans})
    for first, last, _ in pieces(placed):
        yield first, last


class NoLines:
    """Stands in for a table of lines that was never read. No outgoing call may present a number."""

    def presentation(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        return _ALLOWED if call.direction is _INCOMING else (Reason.LINES_MISSING, None)
