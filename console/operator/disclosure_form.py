"""The form for requesting evidence, which reads the fields and collects their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message
from idtone.ledger.disclosure.legal_basis import BasisFact, BasisRule, LegalBasis, load_legal_bases, text_objection
from idtone.ledger.store.ledger_reader import LedgerReader, whole_id
from idtone.operations.make_pack import basis_of, checked_case

from ..form_errors import FormErrors
from ..time_formats import parse_typed_time

CALLS_LIMIT: Final = 1000
"""Maximum number of calls in one request."""
_TEXTS: Final = (BasisFact.AUTHORITY, BasisFact.REFERENCE, BasisFact.SCOPE, BasisFact.COURT, BasisFact.WHY)
_DAYS: Final = (BasisFact.DEADLINE, BasisFact.VALID_UNTIL)


@dataclass(frozen=True, slots=True)
class DisclosureForm:
    case: str
    calls: Sequence[str]
    sealed: bool
    basis: LegalBasis


def read_form(settings: Settings, reader: LedgerReader, given: Mapping[str, str], now: datetime) -> DisclosureForm:
    """Read the request from the form. Raises FormErrors, or DocumentError if the legal bases cannot be read."""
    errors, fields = FormErrors(), {name: value.strip() for name, value in given.items()}
    case = errors.read("case", lambda: _case(fields.get("case", "")))
    calls = fields.get("calls", "").split()
    errors.read("calls", lambda: _check_calls(reader, calls))
    bases, sealed = load_legal_bases(settings.ledger.legal_bases).bases, fields.get("sealed") == "yes"
    rule = bases.get(fields.get("basis", ""))
    if rule is None:
        errors.note("basis", UsageError(_basis_objection(fields.get("basis", ""))))
    demand: dict[str, Any] = {"basis": fields.get("basis") or None}
    for fact in BasisFact:
        demand[fact] = errors.read(fact, partial(_fact, fact, fields.get(fact, ""), rule, now))
    if rule and rule.numbers == "sealed" and not sealed:
        errors.note("sealed", UsageError("this legal basis does not open telephone numbers; tick this box"))
    errors.check()
    assert case is not None
    return DisclosureForm(case, calls, sealed, basis_of(settings, case, sealed, demand))


def _case(text: str) -> str:
    if not text:
        raise UsageError("fill this in")
    case = checked_case(text)
    _refuse(text_objection("case", case))
    return case


def _check_calls(reader: LedgerReader, calls: Sequence[str]) -> None:
    """Check the call ids. Raises UsageError unless each one matches exactly one call.

    Also raises UsageError if there are no ids or more than `CALLS_LIMIT`.
    """
    if not 0 < len(calls) <= CALLS_LIMIT:
        raise UsageError("name 1 to {limit:,} calls", limit=CALLS_LIMIT)
    for each in calls:
        whole_id([reader], each)


def _basis_objection(basis: str) -> Message:
    return Message("there is no such legal basis; choose one") if basis else Message("choose the legal basis")


def _fact(fact: BasisFact, text: str, rule: BasisRule | None, now: datetime) -> str | None:
    """The fact, formatted like the command's option, or None if it is empty and not needed. Raises UsageError."""
    if not text:
        if rule and fact in rule.needs:
            raise UsageError("this legal basis needs it")
        return None
    if fact in _TEXTS:
        _refuse(text_objection(fact.replace("_", "-"), text))
        return text
    if fact in _DAYS:
        return _day(fact, text, now)
    at = _moment(text)
    if at > now:
        raise UsageError("this time has not come yet")
    return at.isoformat()


def _day(fact: BasisFact, text: str, now: datetime) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError("choose a day") from error
    if fact is BasisFact.VALID_UNTIL and day < now.astimezone(JAPAN).date():
        raise UsageError("the warrant was valid until {day} only; ask for a new one", day=day)
    return day.isoformat()


def _moment(text: str) -> datetime:
    try:
        return parse_typed_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError("choose a day and a time") from error


def _refuse(objection: str | None) -> None:
    if objection:
        raise UsageError(objection)


def facts_of(reader: LedgerReader, call_id: str) -> dict[str, str]:
    """Values that a call provides for a request's fields: its id and a description of the scope.

    They contain no telephone number.
    """
    record = reader.record(call_id) if reader.knows(call_id) else None
    if record is None:
        return {"calls": call_id}
    at = record.steps[0].at.astimezone(JAPAN)
    return {
        "calls": call_id,
        "scope": Message("the record of one call on {day} at {time}", day=at.date(), time=at.strftime("%H:%M")),
    }
