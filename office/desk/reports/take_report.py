"""Reports received by telephone, by letter or in person, which the office enters like those from the public page."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.translation import Message, template
from idtone.member.reports.report import Report, ServiceReport
from idtone.member.reports.report_documents import is_receipt, new_receipt, sealed_report
from idtone.member.reports.sealed_box import public_key

from .report_desk import ReportDesk


class TakenBy(StrEnum):
    """Ways in which the office receives a report."""

    TELEPHONE = "telephone"
    LETTER = "letter"
    VISIT = "visit"


TAKEN_WORDS: Final = {
    TakenBy.TELEPHONE: template("by telephone"),
    TakenBy.LETTER: template("by letter"),
    TakenBy.VISIT: template("in person"),
}
_REMEDIES: Final = {
    "number": Message("the number is not a telephone number; write it like 0312345678, or +12025550123 from abroad"),
    "service": Message("write the name of the operator or service in one line, without a telephone number"),
    "within_minutes": Message("choose how sure the time is"),
    "what": Message("write what happened, in 1 to 4000 readable characters"),
    "reporter": Message("write the name and how to reach the person, each in one line, or neither"),
}


def take_report(
    desk: ReportDesk, fields: Mapping[str, str], by: TakenBy, now: datetime, receipt: str = ""
) -> tuple[str, str]:
    """Enter a report from a form's fields. Returns its id and the receipt for the reporter.

    The fields are either `number`, `date`, `time` (in Japan) and `within_minutes`, or `service`, the name of an
    operator or a service. The field `what` is required; `name`, `contact` and `disclose` are optional. With a `receipt`
    created in advance, sending the same fields twice enters only one report. Raises IdtoneError.
    """
    if receipt and not is_receipt(receipt):
        raise UsageError("the form is damaged; open it again")
    report = _report(fields, now)
    receipt, officer = receipt or new_receipt(), desk.keys()["officer"]
    sealed = sealed_report(report, receipt, desk.key.public, public_key(officer) if officer else None)
    return desk.enter(sealed, by.value, now), receipt


def _report(fields: Mapping[str, str], now: datetime) -> Report | ServiceReport:
    given = {name: value.strip() for name, value in fields.items()}
    name, contact = given.get("name", ""), given.get("contact", "")
    reporter = {"name": name, "contact": contact, "disclose": bool(given.get("disclose"))} if name or contact else None
    common = {"what": given.get("what", ""), "reporter": reporter}
    try:
        if given.get("service"):
            if given.get("number"):
                raise UsageError("write the number of the call, or the operator or service, and not both")
            return ServiceReport.model_validate({"service": given["service"], **common})
        return Report.model_validate({**_call(given, now), **common})
    except ValidationError as error:
        raise UsageError(_REMEDIES[str(error.errors()[0]["loc"][0])]) from None  # the cause would show the words


def _call(given: Mapping[str, str], now: datetime) -> dict[str, str]:
    try:
        at = datetime.fromisoformat(f"{given.get('date', '')}T{given.get('time', '')}").replace(tzinfo=JAPAN)
    except ValueError as error:
        raise UsageError("write the day and the time of the call, in Japan") from error
    if at > now:
        raise UsageError("the call of the report is in the future")
    within = given.get("within_minutes") or "60"
    return {"number": given.get("number", ""), "at": at.isoformat(), "within_minutes": within}
