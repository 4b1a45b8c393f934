"""Text that pages show for a call, derived from its record."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision_words import DIRECTIONS, OUTCOMES, REASONS, OutcomeWords
from idtone.core.translation import Message, template
from idtone.ledger.disclosure.report_words import KNOWN_BY, PARTIES, STEPS, Words
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import NumberRole, StepKind

from .call_query import path_of

ROLES: Final = {
    NumberRole.FORWARDING: template("Forwarding number"),
    NumberRole.CALLER: template("Caller's number"),
    NumberRole.CALLED: template("Called number"),
}


class CallState(StrEnum):
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    IN_PROGRESS = "in-progress"


STATES: Final = {
    CallState.ENDED: template("has ended"),
    CallState.INTERRUPTED: template("interrupted"),
    CallState.IN_PROGRESS: template("in progress"),
}
EXPLAINED: Final = {
    CallState.INTERRUPTED: template("The service was down when the call ended, so its end is not known."),
    CallState.IN_PROGRESS: template("Its end is not in the ledger yet. Reload this page to see its next steps."),
}
"""Explanation of each call state."""


def state_of(record: Record) -> CallState:
    kinds = record.times
    if StepKind.ENDED in kinds:
        return CallState.ENDED
    return CallState.INTERRUPTED if StepKind.INTERRUPTED in kinds else CallState.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call as a row in the list."""

    path: str
    record: Record
    state: CallState
    direction: str
    reason: str

    @property
    def at(self) -> datetime:
        return self.record.steps[0].at

    @property
    def number(self) -> object:
        return self.record.numbers.get(NumberRole.FORWARDING, "")

    @property
    def state_words(self) -> str:
        return STATES[self.state]


def line_of(record: Record, node: str = "") -> CallLine:
    """The row for a call. `node` is the name of the call's node, or empty for this node."""
    return CallLine(
        path_of(record.call_id, node=node),
        record,
        state_of(record),
        direction_words(record.direction),
        reason_words(record.reason),
    )


def direction_words(code: str | None) -> str:
    """Display text for a direction, or the code itself if it is unknown."""
    return DIRECTIONS[Direction(code)] if code in set(Direction) else code or ""


def reason_words(code: str | None) -> str:
    return REASONS[Reason(code)] if code in set(Reason) else ""


def outcome_words(code: str | None) -> OutcomeWords | None:
    return OUTCOMES[Outcome(code)] if code in set(Outcome) else None


def in_language(words: Words | None, language: str, code: str = "") -> str:
    """The text for a code in `language`, or the code itself if `words` is None."""
    if words is None:
        return code
    return words.japanese if language == "ja" else words.english


def step_words(kind: StepKind, language: str) -> str:
    return in_language(STEPS.get(kind), language, kind.value)


def party_words(party: str, language: str) -> str:
    return in_language(PARTIES.get(party), language, party)


def known_by_words(code: str, language: str) -> str:
    return in_language(KNOWN_BY.get(code), language, code)


def no_such_call(call_id: str) -> Message:
    return Message("The ledger holds no call {call_id}.", call_id=call_id)
