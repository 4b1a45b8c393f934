"""Call counters, derived from the steps that call control writes to the ledger.

The modules that handle calls therefore need no counters. Counting starts with the process. Calls already in progress
are counted when they end.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from idtone.core.calls import Reason
from idtone.core.duration_histogram import Durations
from idtone.ledger.evidence.call_record import SENT_BY, Record
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import NUMBER_SUSPENDED, Step, StepKind

CONNECT_S: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Buckets for the time from the answer to the connection, in seconds. A sound takes about half a second."""
NONE: Final = "none"
"""A label's value if the step lacks that detail."""
LABELS: Final = ("outcome", "reason", "interface", "direction")
"""Labels of `CallCounts.decisions`, which are names of step details."""

# In Python 3.11 the look-up of an enumeration's member takes longer than everything else here.
_FOREIGN: Final = Reason.NUMBER_OF_ANOTHER_MEMBER
_DECIDED: Final = StepKind.DECIDED
_FALLBACK: Final = StepKind.FALLBACK
_ANSWERED: Final = StepKind.ANSWERED
_SOUND_ENDED: Final = StepKind.SOUND_ENDED
_SOUND_REPORTED: Final = StepKind.SOUND_REPORTED
_CONNECTED: Final = StepKind.CONNECTED
_ENDED: Final = StepKind.ENDED
_INTERRUPTED: Final = StepKind.INTERRUPTED


@dataclass(slots=True)
class _Call:
    """A call's progress, for the counters."""

    to_hear: frozenset[str]
    """The parties that should hear a sound."""
    sent: set[str] = field(default_factory=set)
    """The parties that it was sent to."""
    played: set[str] = field(default_factory=set)
    """The parties that heard it played to the end."""
    confirmed: set[str] = field(default_factory=set)
    answered_at: datetime | None = None
    connected: bool = False


class CallCounts:
    """Evidence that counts the steps on their way to the ledger.

    Use an instance in a single thread. Any thread can read the counts.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._calls: dict[str, _Call] = {}
        """The calls in progress."""
        self.decisions: Counter[tuple[str, ...]] = Counter()
        """Decisions by `LABELS`. For the hook's own decisions, the interface is `none`."""
        self.emergencies_of_suspended = 0
        """Emergency calls whose forwarding number was suspended."""
        self.foreign_numbers = 0
        """Calls whose forwarding number another member holds."""
        self.ended: Counter[tuple[str, ...]] = Counter()
        """Ended calls by status; `INTERRUPTED` if the end is unknown."""
        self.connected = 0
        """Ended calls that were connected and in which a party should have heard a sound."""
        self.sent = 0
        """Calls among `connected` whose sounds were all sent."""
        self.confirmed = 0
        """Calls among `sent` whose sounds were all confirmed by the phone's reports, if these came before the end."""
        self.failed = 0
        """Ended calls that were connected although one of their sounds was not played to the end."""
        self.connecting = Durations(CONNECT_S)
        """Times from the answer until the parties were connected, if a sound was played."""

    @property
    def full(self) -> bool:
        return self._evidence.full

    def append(self, step: Step) -> Future[None]:
        written = self._evidence.append(step)
        self._count(step)
        return written

    def hurry(self) -> None:
        self._evidence.hurry()

    def restore(self, records: Iterable[Record]) -> None:
        """Continue calls that another instance decided, so that their ends are counted."""
        for record in records:
            for step in record.steps:
                self._follow(step)

    def _count(self, step: Step) -> None:
        kind, details = step.kind, step.details
        if kind is _DECIDED or kind is _FALLBACK:
            self.decisions[tuple([str(details.get(label, NONE)) for label in LABELS])] += 1
            self.emergencies_of_suspended += NUMBER_SUSPENDED in details
            self.foreign_numbers += details.get("reason") == _FOREIGN
        self._follow(step)
        if kind is _ENDED or kind is _INTERRUPTED:
            self.ended[str(details.get("status", "INTERRUPTED")),] += 1
            call = self._calls.pop(step.call_id, None)
            if call and call.connected and call.to_hear:
                self.connected += 1
                self.sent += call.sent >= call.to_hear
                self.confirmed += call.confirmed >= call.to_hear
                self.failed += not call.played >= call.to_hear
        elif kind is _CONNECTED and (call := self._calls.get(step.call_id)) and call.answered_at:
            self.connecting.add((step.at - call.answered_at).total_seconds())

    def _follow(self, step: Step) -> None:
        kind, details = step.kind, step.details
        if kind is _DECIDED or kind is _FALLBACK:
            parties = str(details.get("parties", ""))
            self._calls[step.call_id] = _Call(frozenset(parties.split(",") if parties else ()))
            return
        call = self._calls.get(step.call_id)
        if call is None:
            return
        if kind is _ANSWERED:
            call.answered_at = step.at
        elif kind is _SOUND_ENDED and "instead" not in details:
            party = str(details["party"])
            call.played.add(party)
            if details.get("known_by") == SENT_BY:
                call.sent.add(party)
        elif kind is _SOUND_REPORTED and details["confirmed"]:
            call.confirmed.add(str(details["party"]))
        elif kind is _CONNECTED:
            call.connected = True


_: type[Evidence] = CallCounts
