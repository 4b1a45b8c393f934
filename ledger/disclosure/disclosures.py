"""Disclosures of evidence, with the receiving offices' receipts and written confirmations.

Acts are never changed, so each disclosure has at most one valid receipt and one valid confirmation.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.persons import Person
from idtone.core.translation import Message

from ..evidence.act_persons import person_of
from ..evidence.steps import Scalar, Step, StepKind
from .legal_basis import LegalBasis, text_objection


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt that an office signed for an evidence pack.

    `received` is a day in Japan. `proof` is explained in `steps.export_received`.
    """

    act: str
    receiver: str
    received: date
    proof: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The document that confirms a demand in writing, and the day (in Japan) on which it arrived."""

    act: str
    reference: str
    received: date


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A recorded disclosure of evidence about calls to an authority.

    `sha256` is the digest of the evidence pack. `request` is the id of the approved request.
    """

    act: str
    at: datetime
    by: Person
    case: str
    calls: int
    sealed: bool
    sha256: str
    request: str | None = None
    basis: LegalBasis | None = None
    receipt: Receipt | None = None
    confirmation: Confirmation | None = None

    def overdue(self, today: date) -> bool:
        """True if the written confirmation is overdue.

        `today` is a day in Japan.
        """
        by = self.basis.confirm_by if self.basis else None
        return by is not None and self.confirmation is None and today > by


def disclosures_in(acts: Iterable[Step]) -> dict[str, Disclosure]:
    """Disclosures by id, oldest first.

    `acts` must contain all acts, in the order in which they were written.
    """
    found: dict[str, Disclosure] = {}
    for step in acts:
        if step.kind is StepKind.EXPORTED:
            with suppress(ValueError, KeyError, TypeError):  # an act that is none
                found[step.call_id] = _export(step)
        elif step.kind in _ANSWERS and receipt_objection(step, found) is None:
            export = found[str(step.details["export"])]
            if step.kind is StepKind.EXPORT_RECEIVED:
                found[export.act] = replace(export, receipt=_receipt(step))
            else:
                found[export.act] = replace(export, confirmation=_confirmation(step))
    return found


_ANSWERS: Final = (StepKind.EXPORT_RECEIVED, StepKind.EXPORT_CONFIRMED)
_PROOFS: Final = ({"scan"}, {"signature", "signature_key"}, set[str]())
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RECEIPT: Final = frozenset({"by", "by_uid", "by_way", "export", "sha256", "receiver", "received"})


def receipt_objection(step: Step, known: Mapping[str, Disclosure], now: datetime | None = None) -> str | None:
    """Reason why a receipt or a confirmation is not allowed; None if it is allowed.

    Also None for acts of other kinds. `now` comes from the checking process's clock, or is None for an act that is
    already in the ledger.
    """
    if step.kind not in _ANSWERS:
        return None
    try:
        export = known.get(str(step.details["export"]))
        if export is None:
            return Message("there is no disclosure {export}", export=step.details["export"])
        answer: Receipt | Confirmation
        if step.kind is StepKind.EXPORT_RECEIVED:
            answer = _receipt(step)
            why = _receipt_objection(answer, step, export) or (now and text_objection("by", answer.receiver))
        else:
            answer = _confirmation(step)
            why = _confirmation_objection(export) or (now and text_objection("reference", answer.reference))
        return why or _day_objection(answer, export, now or step.at)
    except (ValueError, KeyError, TypeError) as error:
        return Message("it is not what an act of this kind says ({error})", error=type(error).__name__)


def _receipt_objection(receipt: Receipt, step: Step, export: Disclosure) -> str | None:
    if step.details["sha256"] != export.sha256:
        return Message("it is of another pack than that of disclosure {export}", export=export.act)
    if export.receipt:
        return Message("disclosure {export} has a receipt already: {act}", export=export.act, act=export.receipt.act)
    if receipt.proof.keys() not in _PROOFS or not all(_SHA256.fullmatch(str(each)) for each in receipt.proof.values()):
        return Message("its proof is neither a scan nor a signature")
    return None


def _confirmation_objection(export: Disclosure) -> str | None:
    if export.basis is None or export.basis.confirm_by is None:
        return Message("disclosure {export} needs no confirmation", export=export.act)
    if export.confirmation:
        return Message(
            "disclosure {export} is confirmed already: {act}", export=export.act, act=export.confirmation.act
        )
    return None


def _day_objection(answer: Receipt | Confirmation, export: Disclosure, now: datetime) -> str | None:
    first = export.at
    if isinstance(answer, Confirmation) and export.basis and export.basis.received:
        first = min(first, export.basis.received)  # it may have come while the pack was made
    if not first.astimezone(JAPAN).date() <= answer.received <= now.astimezone(JAPAN).date():
        return Message("--on {day} is before the disclosure, or in the future", day=answer.received)
    return None


def _export(step: Step) -> Disclosure:
    details = step.details
    try:
        basis = LegalBasis.of(details)
    except ValueError:
        basis = None  # the disclosure was made, whatever its act says
    request = details.get("request")
    return Disclosure(
        step.call_id,
        step.at,
        person_of(details),
        str(details["case"]),
        int(str(details["calls"])),
        details["numbers_sealed"] is not False,
        str(details["sha256"]),
        None if request is None else str(request),
        basis,
    )


def _receipt(step: Step) -> Receipt:
    proof = {name: value for name, value in step.details.items() if name not in _RECEIPT}
    received = date.fromisoformat(str(step.details["received"]))
    return Receipt(step.call_id, str(step.details["receiver"]), received, proof)


def _confirmation(step: Step) -> Confirmation:
    received = date.fromisoformat(str(step.details["received"]))
    return Confirmation(step.call_id, str(step.details["reference"]), received)
