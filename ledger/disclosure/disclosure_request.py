"""Requests for disclosure that a second person must approve, with their states and allowed acts.

One person requests a disclosure, another approves it, and one of the two makes the evidence pack. The ledger records
each step as an act. Its writer refuses acts that are not allowed, and any that are in the ledger anyway have no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.persons import Person
from idtone.core.settings.settings import Exports, LedgerSettings

from ..evidence.act_persons import person_of
from ..evidence.leaf_rules import strict_time
from ..evidence.steps import Scalar, Step, StepKind
from .legal_basis import LegalBases, LegalBasis, basis_objection, load_legal_bases, text_objection


class RequestState(StrEnum):
    OPEN = "open"
    """Requested but not answered yet."""
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    """Not approved in time, or the pack was not made in time after the approval."""
    EXPORTED = "exported"


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """The answer to a request for disclosure.

    An approval is valid until `until`. A refusal gives its reason in `why`.
    """

    act: str
    at: datetime
    by: Person
    until: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class DisclosureRequest:
    """A person's request to disclose evidence about calls.

    `selection` is the digest of the requested evidence (`pack.selection`). `until` is the deadline for an approval.
    """

    act: str
    at: datetime
    by: Person
    case: str
    calls: tuple[str, ...]
    sealed: bool
    selection: str
    until: datetime
    basis: LegalBasis | None = None
    """The legal basis; None if an older version, which did not ask for it, made the request."""
    approval: RequestAnswer | None = None
    refusal: RequestAnswer | None = None
    export: RequestAnswer | None = None

    def state(self, now: datetime) -> RequestState:
        if self.export:
            return RequestState.EXPORTED
        if self.refusal:
            return RequestState.REFUSED
        until = self.approval.until if self.approval else self.until
        if until is None or now >= until:
            return RequestState.EXPIRED
        return RequestState.APPROVED if self.approval else RequestState.OPEN


_READY: Final = {
    StepKind.EXPORT_APPROVED: (RequestState.OPEN,),
    StepKind.EXPORT_REFUSED: (RequestState.OPEN, RequestState.APPROVED),
    StepKind.EXPORTED: (RequestState.APPROVED,),
}
"""Act → the request's states in which the act is allowed."""


def requests(acts: Iterable[Step]) -> dict[str, DisclosureRequest]:
    """Requests for disclosure by id, oldest first.

    `acts` must contain all acts, in the order in which they were written.
    """
    found: dict[str, DisclosureRequest] = {}
    for step in acts:
        if objection(step, found, DisclosureRules()) is None:
            _take(step, found)
    return found


@dataclass(frozen=True, slots=True)
class DisclosureRules:
    """The rules that decide whether the ledger's writer accepts an act.

    `two_persons` means that a disclosure needs another person's approval. `term` limits how long a request may wait and
    how long an approval is valid. `bases` contains the requirements for each legal basis. If it is None, legal bases
    are not checked, because acts recorded by earlier versions have none.
    """

    two_persons: bool = False
    term: timedelta | None = None
    bases: LegalBases | None = None

    @classmethod
    def of(cls, settings: LedgerSettings) -> DisclosureRules:
        """Read the rules from a node's settings and its file of legal bases.

        Raises DocumentError.
        """
        bases = load_legal_bases(settings.legal_bases)
        return cls(settings.exports is Exports.TWO_PERSONS, settings.approval, bases)


def objection(
    step: Step, known: Mapping[str, DisclosureRequest], rules: DisclosureRules, now: datetime | None = None
) -> str | None:
    """Reason why an act is not allowed; None if it is allowed.

    `known` contains the earlier requests. `now` comes from the checking process's clock, not the acting person's.
    """
    try:
        if step.kind is StepKind.EXPORT_REQUESTED:
            if step.call_id in known:
                return "there is a request by this id already"
            return _too_long(_request(step).until, rules, now or step.at) or _basis_objection(step, rules, now)
        if step.kind not in _READY:
            return None
        if step.kind is StepKind.EXPORTED and step.details.get("request") is None:
            return (
                "exports take two persons here (ledger.exports), and this one was not requested"
                if rules.two_persons
                else _basis_objection(step, rules, now)
            )
        return (
            _answer_objection(step, known, max(step.at, now or step.at))
            or _too_long(_answer(step).until, rules, now or step.at)
            or (_basis_objection(step, rules, now) if step.kind is StepKind.EXPORTED else None)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"it is not what an act of this kind says ({type(error).__name__})"


def _too_long(until: datetime | None, rules: DisclosureRules, now: datetime) -> str | None:
    if rules.term is None or until is None or until <= now + rules.term:
        return None
    return f"it counts until {until.isoformat()}, which is longer than ledger.approval allows"


def _basis_objection(step: Step, rules: DisclosureRules, now: datetime | None) -> str | None:
    basis = LegalBasis.of(step.details)  # also of acts that are not judged: a basis of another form has no effect
    if rules.bases is None:
        return None
    return text_objection("case", str(step.details["case"])) or basis_objection(
        basis, step.details["numbers_sealed"] is True, rules.bases, now or step.at
    )


def _answer_objection(step: Step, known: Mapping[str, DisclosureRequest], now: datetime) -> str | None:
    request, answer = known.get(str(step.details["request"])), _answer(step)
    if request is None:
        return f"there is no request {step.details['request']}"
    state = request.state(now)
    if state not in _READY[step.kind]:
        return f"request {request.act} is {state}"
    if step.kind is StepKind.EXPORT_REFUSED:
        return None
    if step.details["selection"] != request.selection:
        return f"it is of another selection than request {request.act}"
    if step.kind is StepKind.EXPORT_APPROVED:
        if answer.until is None:
            return "it does not say until when it counts"
        if answer.by.is_by_console != request.by.is_by_console:
            return "a request from the console is approved in the console, and one from a command by a command"
        if not answer.by.is_another_than(request.by):
            return f"{answer.by.name} has requested this; another person has to approve it"
        return None
    if request.approval and not any(map(answer.by.is_same_as, (request.by, request.approval.by))):
        return f"{answer.by.name} has neither requested nor approved this"
    given = {"case": request.case, "calls": len(request.calls), "numbers_sealed": request.sealed}
    other = [name for name, value in given.items() if step.details[name] != value]
    if LegalBasis.of(step.details) != request.basis:
        other.append("basis")
    return f"it has another value of {', '.join(other)} than request {request.act}" if other else None


def _take(step: Step, found: dict[str, DisclosureRequest]) -> None:
    if step.kind is StepKind.EXPORT_REQUESTED:
        found[step.call_id] = _request(step)
    elif step.kind in _READY and step.details.get("request") is not None:
        request, answer = found[str(step.details["request"])], _answer(step)
        if step.kind is StepKind.EXPORT_APPROVED:
            request.approval = answer
        elif step.kind is StepKind.EXPORT_REFUSED:
            request.refusal = answer
        else:
            request.export = answer


def _request(step: Step) -> DisclosureRequest:
    details = step.details
    calls = json.loads(str(details["selected"]))
    if not isinstance(calls, list) or not calls or type(details["calls"]) is not int or len(calls) != details["calls"]:
        raise ValueError("not a list of as many calls")
    return DisclosureRequest(
        step.call_id,
        step.at,
        person_of(details),
        str(details["case"]),
        tuple(map(str, calls)),
        details["numbers_sealed"] is not False,
        str(details["selection"]),
        _moment(details["until"]),
        LegalBasis.of(details),
    )


def _answer(step: Step) -> RequestAnswer:
    until = step.details.get("until")
    return RequestAnswer(
        step.call_id,
        step.at,
        person_of(step.details),
        None if until is None else _moment(until),
        str(step.details.get("why", "")),
    )


def _moment(text: Scalar) -> datetime:
    return strict_time(str(text))
