"""Call counts for the statistics pages."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from idtone.core.japan_time import JAPAN
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.leaves import ACTS
from idtone.ledger.evidence.tally import Part, Tally


@dataclass(slots=True)
class Counts:
    """Counts of the calls in the ledger up to step `place`, by day and hour in Japan time."""

    origin: str | None = None
    """Origin of the tree whose calls are counted."""
    place: int = 0
    last: str = ""
    """Hash of the ledger step at `place`."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    tallies: dict[tuple[date, str, str], Tally] = field(default_factory=dict)
    """Tallies by day, member and licence. They match those of `idtone ledger stats`."""
    reasons: Counter[tuple[date, str, str]] = field(default_factory=Counter)
    """Number of calls by day, outcome and reason."""
    hours: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    """Number of calls by outcome and by the hour they began."""
    kept: int = 0
    """Place in the ledger up to which the counts in the file are complete."""

    def add(self, record: Record, times: int = 1, begun: datetime | None = None) -> None:
        """Count a call, or subtract it if `times` is -1.

        `begun` is when the call started. If it is None, the time of the record's first step is used. Canary calls and
        acts are not counted.
        """
        first = record.steps[0]
        if record.canary or first.kind in ACTS:
            return
        at = (begun or first.at).astimezone(JAPAN)
        day, outcome = at.date(), record.outcome or ""
        key = (day, record.member or "", record.licence or "")
        counted = self.tallies.setdefault(key, Tally(*key))
        counted.add(record, times)
        if not counted.calls:
            del self.tallies[key]
        self.reasons[day, outcome, record.reason or ""] += times
        self.hours[at.replace(minute=0, second=0, microsecond=0), outcome] += times

    def days(self) -> tuple[date, date] | None:
        """The first and last days with a call, or None if there are no calls."""
        found = [day for day, _, _ in self.tallies]
        return (min(found), max(found)) if found else None

    def grouped(self, part: Part, first: date, last: date) -> list[Tally]:
        """Tallies for the days from `first` to `last`, by day, member or licence."""
        found: dict[object, Tally] = {}
        for (day, member, licence), counted in self.tallies.items():
            if first <= day <= last:
                named = {Part.DAY: day, Part.MEMBER: member, Part.LICENCE: licence}
                sum_of = found.setdefault(
                    named[part],
                    Tally(*(named[each] if each is part else None for each in Part)),  # type: ignore[arg-type]
                )
                sum_of.include(counted)
        return [found[key] for key in sorted(found, key=str)]

    def by_reason(self, first: date, last: date) -> list[tuple[str, str, int]]:
        """Rows of outcome, reason and number of calls, highest number first."""
        found: Counter[tuple[str, str]] = Counter()
        for (day, outcome, reason), calls in self.reasons.items():
            if calls and first <= day <= last:
                found[outcome, reason] += calls
        return [(outcome, reason, calls) for (outcome, reason), calls in found.most_common()]
