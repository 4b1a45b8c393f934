"""Acts that reveal telephone numbers to a person, each with a recorded purpose."""

from datetime import datetime

from idtone.core.numbers import Number, holds_number
from idtone.core.persons import Person
from idtone.core.text_cleaning import forbidden_character
from idtone.core.translation import Message

from ..evidence.act_persons import person_of
from ..evidence.steps import Step, StepKind, numbers_opened
from ..keys.day_keys import DayKeys
from .legal_basis import TEXT_LIMIT, can_be_recorded


def purpose_objection(purpose: str) -> Message | None:
    """Reason why a purpose must not be recorded permanently; None if it may be."""
    if character := forbidden_character(purpose):
        return Message(
            "The purpose needs 1 to {limit} printable characters; {character} is not printable.",
            limit=TEXT_LIMIT,
            character=character,
        )
    if not can_be_recorded(purpose):
        return Message("The purpose needs 1 to {limit} printable characters.", limit=TEXT_LIMIT)
    if holds_number(purpose):
        return Message(
            "The purpose holds what may be a telephone number, and it would stay in the ledger for ever; describe it "
            "in words."
        )
    return None


def opening_objection(step: Step) -> str | None:
    """Reason why telephone numbers may not be opened; None if they may be.

    Also None for acts of other kinds.
    """
    if step.kind is not StepKind.NUMBERS_OPENED:
        return None
    try:
        person_of(step.details)
        return purpose_objection(str(step.details["purpose"]))
    except (ValueError, KeyError, TypeError) as error:
        return Message("it is not what an act of this kind says ({error})", error=type(error).__name__)


def search_act(act_id: str, at: datetime, by: Person, purpose: str, wanted: Number | str, days: DayKeys) -> Step:
    """Create the step that records a search by telephone number or SIP Call-ID.

    The step contains neither. Anyone with the newest day's key can later check whether a given number was searched for.
    """
    kept = days.days()
    key = days.get(kept[-1]) if kept else None
    if key is None:
        return numbers_opened(act_id, at, by, purpose)
    token = key.token(wanted) if isinstance(wanted, Number) else key.sip_call_id_token(wanted)
    return numbers_opened(act_id, at, by, purpose, token=(key.day, token))
