"""Counts of all calls in the ledger. What was counted stays; only calls that have changed since are counted anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from idtone.ledger.evidence.leaves import ACTS
from idtone.ledger.evidence.records import Record
from idtone.ledger.evidence.tally import Part, Tally
from idtone.ledger.replication.node_ledgers import replica_of
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.settings import Settings

from .other_nodes import is_other_node
from .work import Progress, Work

BATCH: Final = 20_000
"""Steps that are looked at together: the more, the fewer calls are looked at twice."""
ANEW_AFTER_S: Final = 20.0
"""Counts that are younger are shown as they are."""


@dataclass(slots=True)
class Counts:
    """The calls of the ledger's steps up to `place`, in the time zone of this machine."""

    origin: str | None = None
    """The tree that was counted."""
    place: int = 0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    tallies: dict[tuple[date, str, str], Tally] = field(default_factory=dict)
    """By day, member and licence, as `idtone ledger stats` counts."""
    reasons: Counter[tuple[date, str, str]] = field(default_factory=Counter)
    """By day, outcome and reason."""
    hours: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    """By the hour that a call began in, and outcome."""

    def add(self, record: Record, times: int = 1) -> None:
        """Count a call; -1 times takes it back."""
        first = record.steps[0]
        if first.kind in ACTS:
            return
        at = first.at.astimezone()
        day, outcome = at.date(), record.outcome or ""
        key = (day, record.member or "", record.licence or "")
        counted = self.tallies.setdefault(key, Tally(*key))
        counted.add(record, times)
        if not counted.calls:
            del self.tallies[key]
        self.reasons[day, outcome, record.reason or ""] += times
        self.hours[at.replace(minute=0, second=0, microsecond=0), outcome] += times

    def days(self) -> tuple[date, date] | None:
        """The first and the last day with a call."""
        found = [day for day, _, _ in self.tallies]
        return (min(found), max(found)) if found else None

    def grouped(self, part: Part, first: date, last: date) -> list[Tally]:
        """By day, member or licence, from one day to another."""
        found: dict[object, Tally] = {}
        for (day, member, licence), counted in self.tallies.items():
            if first <= day <= last:
                named = {Part.DAY: day, Part.MEMBER: member, Part.LICENCE: licence}
                sum_of = found.setdefault(
                    named[part], Tally(*(named[each] if each is part else None for each in Part))  # type: ignore[arg-type]
                )  # fmt: skip
                sum_of.include(counted)
        return [found[key] for key in sorted(found, key=str)]

    def by_reason(self, first: date, last: date) -> list[tuple[str, str, int]]:
        """Outcome, reason and calls, the most first."""
        found: Counter[tuple[str, str]] = Counter()
        for (day, outcome, reason), calls in self.reasons.items():
            if calls and first <= day <= last:
                found[outcome, reason] += calls
        return [(outcome, reason, calls) for (outcome, reason), calls in found.most_common()]


def reader_of(settings: Settings, node: str) -> LedgerReader:
    """This node's ledger, or the replica of another one's. Raises LedgerError, UsageError if there is no such node."""
    if is_other_node(settings, node):
        return replica_of(Server.of(settings.ledger), node).reader
    return LedgerReader.open(settings.ledger.own())


def count(settings: Settings, node: str, known: Counts | None, *, progress: Progress) -> Counts:
    """Go on from what is known; from the beginning if the ledger is another one. Raises LedgerError, UsageError."""
    with reader_of(settings, node) as reader:
        origin, newest = reader.origin(), reader.newest_place()
        counts = known if known and known.origin == origin and known.place <= newest else Counts()
        counts.origin, counts.at = origin, datetime.now(UTC)
        begun_at = counts.place
        for until in _ends(begun_at, newest):
            for old, new in reader.changed(counts.place, until):
                if old:
                    counts.add(old, -1)
                counts.add(new)
            counts.place = until
            progress(until - begun_at, newest - begun_at)
    return counts


def _ends(place: int, newest: int) -> Iterable[int]:
    """Where each batch ends."""
    while place < newest:
        place = min(place + BATCH, newest)
        yield place


class Statistics:
    """The counts of one node's ledger. Used by the event loop alone, but for `is_behind`."""

    def __init__(self, settings: Settings, node: str = "") -> None:
        """`node` is another node; empty: this one."""
        self._settings = settings
        self._node = node
        self.work: Work[Counts] = Work(count, self._take)
        self.counts: Counts | None = None

    def is_behind(self) -> bool:
        """Whether it is time to count anew. Raises LedgerError, UsageError if there is no such node."""
        with reader_of(self._settings, self._node) as reader:
            newest = reader.newest_place()
        known = self.counts
        if known is None:
            return True
        return known.place != newest and (datetime.now(UTC) - known.at).total_seconds() > ANEW_AFTER_S

    def start(self) -> None:
        self.work.start(self._settings, self._node, self.counts)

    def _take(self, counts: Counts) -> None:
        self.counts = counts
