"""The table of lines for decisions: sorted arrays, and the binary form in which the service keeps them.

Reading a million numbers takes seconds, so another process compiles them (`compiling`), and the service reads the
result. The result is protected only by its checksum: it is in the service's own folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from idtone.calls import Direction, ForwardedCall, Reason
from idtone.numbers import Number

from .model import ALWAYS, Entry, Period
from .rules import pieces

_MAGIC: Final = b"idtone lines 1\n"
"""Raise the number when the format changes."""
_DIGEST: Final = hashlib.sha256().digest_size
_NAMES_AT_ONCE: Final = 1000
"""Names in one line of JSON: no single step of reading holds up the event loop."""

_INCOMING: Final = Direction.INCOMING
_NOT_ITS_OWN: Final = Reason.NUMBER_OF_ANOTHER_CUSTOMER
_UNKNOWN: Final = Reason.LINE_UNKNOWN
_ALLOWED: Final = (None, None)


class Totals(NamedTuple):
    """What a table holds. `unchecked`: entries that do not say who checked them."""

    customers: int
    lines: int
    numbers: int
    entries: int
    unchecked: int


@dataclass(frozen=True, slots=True)
class Spans:
    """Runs of intervals, ascending in each run; run `n` begins at `starts[n]` and ends before `starts[n + 1]`.

    The intervals of a run are disjoint or equal. `terms` has the customer and the period of each.
    """

    starts: array[int]
    firsts: array[int]
    lasts: array[int]
    terms: array[int]


class LinesIndex:
    """One edition of the table; immutable. Implements `idtone.decision.Lines`.

    A *term* is a customer with a period. A line has one run of numbers; lines with the same entries share it.
    """

    __slots__ = (
        "_accounts", "_always", "_customers", "_endpoints", "_kept", "_lines", "_numbers", "_periods", "_term_customers",
        "origin", "totals",
    )  # fmt: skip

    def __init__(
        self, origin: str, totals: Totals, customers: Sequence[str], term_customers: array[int],
        periods: array[int], lines: Spans, numbers: Spans, endpoints: dict[str, int], accounts: dict[str, int],
    ) -> None:  # fmt: skip
        """`origin` is the digest of what was read. `periods` has two values for each term."""
        self.origin, self.totals = origin, totals
        self._customers: list[str | None] = [*customers, None]  # -1: none is named
        self._term_customers, self._periods = term_customers, periods
        self._lines, self._numbers = lines, numbers
        self._endpoints, self._accounts = endpoints, accounts
        self._always = bytes(
            start == ALWAYS[0] and until == ALWAYS[1]
            for start, until in zip(periods[::2], periods[1::2], strict=True)
        )  # fmt: skip
        # The arrays of the lines as they are, since each attribute takes time in each decision.
        self._kept = (lines.starts, lines.firsts, lines.lasts, lines.terms, self._always)

    def __repr__(self) -> str:
        return f"<LinesIndex of {self.totals.numbers} numbers>"

    def presenting(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        """Why the call may not present its forwarding number, and whose call it is; None: it may, and not known.

        The endpoint decides if the table has it, else the account code. An incoming call comes by a trunk, not by a
        customer's line: it may, and is a call of the customer who has the number.
        """
        if call.direction is _INCOMING:
            return None, self.customer_of(call.forwarding_number, now)
        run = self._endpoints.get(call.endpoint)
        if run is None:
            run = self._accounts.get(call.account)
            if run is None:
                return _UNKNOWN, None
        e164 = call.forwarding_number.e164
        if e164:
            starts, firsts, lasts, terms, always = self._kept
            number, start = int(e164), starts[run]
            at = bisect_right(firsts, number, start, starts[run + 1]) - 1
            while at >= start and number <= lasts[at]:
                term = terms[at]
                if always[term] or self._in_force(term, now):
                    return None, self._customers[self._term_customers[term]]
                at -= 1
        return _NOT_ITS_OWN, self._customer_of_run(run, now)

    def customer_of(self, number: Number, now: datetime) -> str | None:
        """The customer who has the number now."""
        if not number.e164:
            return None
        spans, wanted = self._numbers, int(number.e164)
        at = bisect_right(spans.firsts, wanted) - 1
        while at >= 0 and wanted <= spans.lasts[at]:
            term = spans.terms[at]
            if self._always[term] or self._in_force(term, now):
                return self._customers[self._term_customers[term]]
            at -= 1
        return None

    def customer_of_line(self, endpoint: str, account: str, now: datetime) -> str | None:
        """The customer whose line it is now."""
        run = self._endpoints.get(endpoint, self._accounts.get(account))
        return None if run is None else self._customer_of_run(run, now)

    def knows(self, endpoint: str) -> bool:
        return endpoint in self._endpoints

    def _customer_of_run(self, run: int, now: datetime) -> str | None:
        spans = self._lines
        terms = set(spans.terms[spans.starts[run] : spans.starts[run + 1]])
        found = {self._term_customers[term] for term in terms if self._always[term] or self._in_force(term, now)}
        return self._customers[found.pop()] if len(found) == 1 else None

    def _in_force(self, term: int, now: datetime) -> bool:
        start, until = self._periods[2 * term], self._periods[2 * term + 1]
        return start <= now.timestamp() < until

    # -- as octets ----------------------------------------------------------------------------------------------------

    def pack(self) -> bytes:
        """The octets for `unpack` on a machine with the same byte order."""
        arrays = [
            self._term_customers, self._periods,
            *(
                each
                for spans in (self._lines, self._numbers)
                for each in (spans.starts, spans.firsts, spans.lasts, spans.terms)
            ),
            array("i", self._endpoints.values()), array("i", self._accounts.values()),
        ]  # fmt: skip
        head = {
            "order": sys.byteorder, "origin": self.origin, "totals": self.totals,
            "arrays": [[each.typecode, len(each)] for each in arrays],
        }  # fmt: skip
        names: list[list[Any]] = [self._customers[:-1], list(self._endpoints), list(self._accounts)]
        chunks = [
            [kind, some[at : at + _NAMES_AT_ONCE]]
            for kind, some in enumerate(names)
            for at in range(0, len(some), _NAMES_AT_ONCE)
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in (head, *chunks)).encode("ascii")
        body = b"".join((len(text).to_bytes(8, "big"), text, *(each.tobytes() for each in arrays)))
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def unpack(cls, octets: bytes) -> LinesIndex:
        """Raises ValueError where `octets` are not from `pack`. It works in small steps, so that other threads run."""
        view = memoryview(octets)
        digest, body = view[len(_MAGIC) : len(_MAGIC) + _DIGEST], view[len(_MAGIC) + _DIGEST :]
        if bytes(view[: len(_MAGIC)]) != _MAGIC or hashlib.sha256(body).digest() != digest:
            raise ValueError("this is no compiled table of lines")
        end = 8 + int.from_bytes(body[:8], "big")
        lines = iter(bytes(body[8:end]).splitlines())
        head = json.loads(next(lines))
        if head["order"] != sys.byteorder:
            raise ValueError("this table of lines was compiled on another kind of machine")
        names: tuple[list[str], list[str], list[str]] = ([], [], [])
        for line in lines:
            kind, some = json.loads(line)
            names[kind].extend(some)
        term_customers, periods, *spans, of_endpoints, of_accounts = _arrays(body[end:], head["arrays"])
        customers, endpoints, accounts = names
        return cls(
            head["origin"], Totals(*head["totals"]), customers, term_customers, periods,
            Spans(*spans[:4]), Spans(*spans[4:]), _runs(endpoints, of_endpoints), _runs(accounts, of_accounts),
        )  # fmt: skip


def _runs(names: Iterable[str], runs: Iterable[int]) -> dict[str, int]:
    made = {}
    for name, run in zip(names, runs, strict=True):  # a loop: other threads run meanwhile
        made[name] = run
    return made


def _arrays(body: memoryview, kinds: Iterable[Sequence[Any]]) -> Iterator[array[int]]:
    for typecode, length in kinds:
        values: array[int] = array(typecode)
        octets = length * values.itemsize
        values.frombytes(body[:octets])
        yield values
        body = body[octets:]


# -- from entries ------------------------------------------------------------------------------------------------------


class _Terms:
    """Numbers the pairs of customer and period."""

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


def compiled(entries: Sequence[Entry], origin: str = "") -> LinesIndex:
    """`entries` must have passed `rules.entry_faults`."""
    terms = _Terms(entries)
    of_line = _entries_of_lines(entries)
    runs: dict[tuple[int, ...], int] = {}
    names = [
        {name: runs.setdefault(tuple(found), len(runs)) for name, found in each.items()} for each in of_line
    ]  # fmt: skip
    lines = _spans(
        [[(span.first, span.last, terms.of_entry[at]) for at in run for span in entries[at].spans] for run in runs]
    )
    numbers = _spans(
        [
            [
                (span.first, span.last, term)
                for entry, term in zip(entries, terms.of_entry, strict=True)
                if entry.customer is not None
                for span in entry.spans
            ]
        ]
    )
    covered = sum(last - first + 1 for first, last in _union(entries))
    totals = Totals(
        len(terms.customers), len(names[0]) + len(names[1]), covered, len(entries),
        sum(not entry.is_checked for entry in entries if entry.spans),
    )  # fmt: skip
    return LinesIndex(origin, totals, list(terms.customers), *terms.arrays(), lines, numbers, names[0], names[1])


def _entries_of_lines(entries: Sequence[Entry]) -> tuple[Mapping[str, list[int]], Mapping[str, list[int]]]:
    """Each endpoint, and each account code, with the entries whose numbers it may present."""
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


def _spans(runs: Iterable[Iterable[tuple[int, int, int]]]) -> Spans:
    starts, firsts, lasts, terms = array("q", [0]), array("q"), array("q"), array("i")
    for run in runs:
        for first, last, items in pieces(sorted(set(run))):
            for term in sorted(set(items)):
                firsts.append(first)
                lasts.append(last)
                terms.append(term)
        starts.append(len(firsts))
    return Spans(starts, firsts, lasts, terms)


def _union(entries: Iterable[Entry]) -> Iterator[tuple[int, int]]:
    placed = sorted({(span.first, span.last, 0) for entry in entries for span in entry.spans})
    for first, last, _ in pieces(placed):
        yield first, last


class NoLines:
    """In place of a table that could never be read: no outgoing call may present any number."""

    def presenting(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        return _ALLOWED if call.direction is _INCOMING else (Reason.LINES_MISSING, None)
