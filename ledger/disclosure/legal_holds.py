"""Legal holds, which keep the telephone numbers of calls for a case.

One person places a hold, and the same or another person lifts it. Both are acts in the ledger, with a basis and a
reference. A hold never ends on its own. Once `until` has passed, someone must decide whether to lift it.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.errors import LedgerError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.persons import Person

from ..evidence import steps
from ..evidence.act_persons import person_of
from ..evidence.canonical_json import canonical
from ..evidence.steps import REQUEST_LIMIT, Scalar, Step, StepKind
from .legal_basis import text_objection

PLACED, LIFTED = "hold-placed", "hold-lifted"
"""Names of the acts."""
PRESERVATION_LIMIT: Final = timedelta(days=60)
"""Longest time for which the police can have call history preserved, including the extension.

Code of Criminal Procedure, article 197, paragraphs 3 and 4.
"""


class HoldBasis(StrEnum):
    """The basis for keeping some calls' numbers longer than others.

    The words are idtone's, and a lawyer must confirm them.
    """

    PRESERVATION = "preservation"
    DISPUTE = "dispute"
    DISCLOSURE = "disclosure"

    @property
    def law(self) -> str:
        """Name of the basis in both languages, as the ledger records it."""
        return _LAWS[self]


_LAWS: Final = {
    HoldBasis.PRESERVATION: "通信履歴の保全要請(刑事訴訟法第197条第3項) / "
    "request to preserve call history (Code of Criminal Procedure, article 197, paragraph 3)",
    HoldBasis.DISPUTE: "訴訟・紛争のための証拠 / evidence for a trial or a dispute",
    HoldBasis.DISCLOSURE: "開示の手続中 / a disclosure is being decided",
}


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A legal hold, which keeps the telephone numbers of calls for a case.

    Once `until`, a day in Japan, has passed, someone must decide about the hold. If it is None, no decision is needed.
    """

    id: str
    at: datetime
    by: Person
    basis: HoldBasis
    reference: str
    why: str
    calls: tuple[str, ...]
    until: date | None = None
    lifted: Step | None = None

    def is_due(self, now: datetime) -> bool:
        """True if the hold is in force and someone must now decide about it."""
        return self.lifted is None and self.until is not None and now.astimezone(JAPAN).date() > self.until


def new_hold_id() -> str:
    return f"h-{secrets.token_hex(4)}"


def check_until(basis: HoldBasis, until: date | None, now: datetime) -> None:
    """Raise UsageError unless the basis allows `until` as the last day of a legal hold."""
    today = now.astimezone(JAPAN).date()
    if until is not None and until < today:
        raise UsageError("--until {until} is over; write a day that comes", until=until)
    if basis is HoldBasis.PRESERVATION and (until is None or until > today + PRESERVATION_LIMIT):
        raise UsageError(
            "a request to preserve ends by law: give its last day by --until, {days} days from today at most",
            days=PRESERVATION_LIMIT.days,
        )


def placed_step(
    act_id: str,
    at: datetime,
    by: Person,
    hold_id: str,
    basis: HoldBasis,
    reference: str,
    why: str,
    calls: Sequence[str],
    until: date | None,
) -> Step:
    """Create the step that records a new legal hold.

    Raises UsageError if a text must not be recorded, and LedgerError if there are more calls than fit in a leaf.
    """
    for name, text in (("reference", reference), ("why", why)):
        if fault := text_objection(name, text):
            raise UsageError(fault)
    details: dict[str, Scalar] = {
        "basis": basis, "law": basis.law, "reference": reference, "why": why, "calls": len(calls),
        "selected": json.dumps(list(calls), ensure_ascii=False),
        **({"until": until.isoformat()} if until else {}),
    }  # fmt: skip
    if len(canonical(details).encode()) > REQUEST_LIMIT:
        raise LedgerError("{count} calls are too many for one hold; hold fewer calls at a time", count=len(calls))
    return steps.duty(act_id, at, by, PLACED, hold_id, details)


def lifted_step(act_id: str, at: datetime, by: Person, hold: LegalHold, why: str) -> Step:
    """Create the step that lifts a legal hold.

    Raises UsageError if the reason must not be recorded.
    """
    if fault := text_objection("why", why):
        raise UsageError(fault)
    return steps.duty(act_id, at, by, LIFTED, hold.id, {"reference": hold.reference, "why": why})


def legal_holds(acts: Iterable[Step]) -> dict[str, LegalHold]:
    """Legal holds by id, oldest first.

    `acts` must contain all duties, in the order in which they were written.
    """
    found: dict[str, LegalHold] = {}
    for step in acts:
        if step.kind is not StepKind.DUTY:
            continue
        hold_id = str(step.details.get("subject"))
        if step.details.get("act") == PLACED and hold_id not in found:
            try:
                found[hold_id] = _hold(hold_id, step.details, step.at)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # an act of another form has no effect
        elif step.details.get("act") == LIFTED and hold_id in found and not found[hold_id].lifted:
            found[hold_id] = replace(found[hold_id], lifted=step)
    return found


def _hold(hold_id: str, details: Mapping[str, Scalar], at: datetime) -> LegalHold:
    calls = json.loads(str(details["selected"]))
    until = details.get("until")
    return LegalHold(
        hold_id,
        at,
        person_of(details),
        HoldBasis(str(details["basis"])),
        str(details["reference"]),
        str(details["why"]),
        tuple(map(str, calls)),
        None if until is None else date.fromisoformat(str(until)),
    )


def held_calls(holds: Iterable[LegalHold]) -> set[str]:
    """Ids of the calls under a legal hold currently in force."""
    return {call for hold in holds if hold.lifted is None for call in hold.calls}
