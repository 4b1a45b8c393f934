"""A report that the office takes by telephone, by letter or at its door, and enters as the public page would."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import UsageError
from idtone.core.japan import JAPAN
from idtone.core.translation import Message, template
from idtone.member.reports.report import Report
from idtone.member.reports.report_documents import new_receipt, sealed_report
from idtone.member.reports.sealed_box import public_key

from .report_desk import ReportDesk


class TakenBy(StrEnum):
    """How it came."""

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
    "within_minutes": Message("choose how sure the time is"),
    "what": Message("write what happened, in 1 to 4000 readable characters"),
    "reporter": Message("write the name and how to reach the person, each in one line, or neither"),
}


def take_report(desk: ReportDesk, fields: Mapping[str, str], by: TakenBy, now: datetime) -> tuple[str, str]:
    """Enter it, by the fields of a form; returns its id, and the receipt for the reporter. Raises IdtoneError.

    `number`, `date` and `time` in Japan, `within_minutes`, `what`, and if the person gives them `name`, `contact` and
    `disclose`.
    """
    report = _report(fields, now)
    receipt, officer = new_receipt(), desk.keys()["officer"]
    sealed = sealed_report(report, receipt, desk.key.public, public_key(officer) if officer else None)
    return desk.enter(sealed, by.value, now), receipt


def _report(fields: Mapping[str, str], now: datetime) -> Report:
    given = {name: value.strip() for name, value in fields.items()}
    try:
        at = datetime.fromisoformat(f"{given.get('date', '')}T{given.get('time', '')}").replace(tzinfo=JAPAN)
    except ValueError as error:
        raise UsageError(Message("write the day and the time of the call, in Japan")) from error
    if at > now:
        raise UsageError(Message("the call of the report is in the future"))
    name, contact = given.get("name", ""), given.get("contact", "")
    reporter = {"name": name, "contact": contact, "disclose": bool(given.get("disclose"))} if name or contact else None
    content = {
        "number": given.get("number", ""), "at": at.isoformat(), "within_minutes": given.get("within_minutes") or "60",
        "what": given.get("what", ""), "reporter": reporter,
    }  # fmt: skip
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        raise UsageError(_REMEDIES[str(error.errors()[0]["loc"][0])]) from None  # the cause would show the words
