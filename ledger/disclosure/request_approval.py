"""Approval and refusal of requests for disclosure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from idtone.core.errors import UsageError
from idtone.core.persons import Person
from idtone.core.settings.settings import Settings
from idtone.core.text_cleaning import forbidden_character

from ..evidence import steps
from ..evidence.call_record import Record
from ..evidence.steps import Step
from ..keys.key_ring import KeyRing
from ..store.ledger_reader import LedgerReader
from .disclosure_request import DisclosureRequest, DisclosureRules, objection, requests
from .packed_calls import packed_calls, selection_digest
from .record_act import record_act


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """A permitted approval that has not been recorded yet.

    `records` are the requested calls, with masked numbers.
    """

    request: DisclosureRequest
    step: Step
    records: list[Record]
    until: datetime


def approval(settings: Settings, key_ring: KeyRing, person: Person, request_id: str, now: datetime) -> RequestApproval:
    """Prepare the approval of a request for disclosure, without recording it.

    Raises UsageError if the person may not approve the request, or if the evidence about its calls has changed since it
    was made. Raises LedgerError.
    """
    with LedgerReader.open(settings.ledger.own_url(), key_ring.days) as reader:
        known = requests(reader.acts())
        request = known_request(known, request_id)
        until = now + settings.ledger.approval
        step = steps.export_approved("act", now, person, request.act, request.selection, until)
        _may_be(step, known)
        _unchanged(reader, request)
        records = [record for call_id in request.calls if (record := reader.record(call_id))]
    return RequestApproval(request, step, records, until)


def refusal(settings: Settings, person: Person, request_id: str, why: str, now: datetime) -> Step:
    """Prepare the refusal of a request for disclosure, without recording it.

    Raises UsageError if the refusal is not allowed. Raises LedgerError.
    """
    if character := forbidden_character(why):
        raise UsageError(
            "--why needs a reason, in printable characters; {character} is not printable", character=character
        )
    if not why.strip():
        raise UsageError("--why needs a reason, in printable characters")
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        known = requests(reader.acts())
    step = steps.export_refused("act", now, person, known_request(known, request_id).act, why)
    _may_be(step, known)
    return step


def record_answer(settings: Settings, key_ring: KeyRing, step: Step) -> str:
    """Record an approval or a refusal durably in the ledger, and return its id.

    Raises LedgerError.
    """
    return record_act(
        settings.ledger.own_url(),
        settings.node,
        key_ring,
        lambda act: Step(act, step.kind, step.at, step.details),
        DisclosureRules.of(settings.ledger),
    )


def known_request(known: Mapping[str, DisclosureRequest], request_id: str) -> DisclosureRequest:
    if request_id not in known:
        raise UsageError(
            "there is no request {request_id!r}; `idtone-evidence disclosure requests` lists them",
            request_id=request_id,
        )
    return known[request_id]


def _may_be(step: Step, known: Mapping[str, DisclosureRequest]) -> None:
    if why := objection(step, known, DisclosureRules(two_persons=True)):
        raise UsageError(why)


def _unchanged(reader: LedgerReader, request: DisclosureRequest) -> None:
    chosen = packed_calls(reader, request.calls, None, sealed=True)
    if selection_digest(request.case, request.sealed, chosen, request.basis) != request.selection:
        raise UsageError("more was recorded of these calls since they were requested; refuse this, and request it anew")
