"""Duties with due dates, and what the office can do with open and overdue ones."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import template
from idtone.office.authority.compliance_duties import (
    DUTY_WORDS,
    Duty,
    enter_duty,
    finish_duty,
    is_overdue,
    read_duties,
    sort_open_first,
    withdraw_duty,
)
from idtone.office.authority.typed_dates import in_japan, parse_day

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, do_act, files_of, member_choices

PATH: Final = "/office/duties"
_DUTY: Final[Fields] = {"duty": FormField(template("Duty"), any_text)}
_ENTER: Final[Fields] = {
    "kind": FormField(template("Kind"), one_of(DUTY_WORDS)),
    "what": FormField(template("What is to be done")),
    "due": FormField(template("Due day"), parse_day),
}
_FINISH: Final[Fields] = {
    **_DUTY,
    "done": FormField(template("Done on"), parse_day),
    "by": FormField(template("Done by")),
    "document": FormField(template("By which document")),
}
_WITHDRAW: Final[Fields] = {**_DUTY, **WHY}


async def show(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show all duties or only the open ones."""
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    found = sort_open_first(await visit.in_thread(read_duties, files.folder))
    listed = listing(visit, [each for each in found if visit.query("all") or not each.done], {})
    return visit.render(
        "office_duties.html",
        status,
        problem=problem,
        words=DUTY_WORDS,
        list=listed,
        rows=[(each, is_overdue(each, today)) for each in listed.rows],
        open=[_choice(each) for each in found if not each.done],
        choices=[_choice(each) for each in found],
        members=member_choices(visit, (await visit.in_thread(files.registered)).members.values()),
        today=today.isoformat(),
    )


def _choice(duty: Duty) -> tuple[str, str]:
    return duty.id, f"{duty.id} {duty.what} ({duty.due})"


async def enter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        kind, member, what, due = (visit.field(name) for name in ("kind", "member", "what", "due"))
        enter_duty(workspace, kind, member, what, due, labels_of(_ENTER))

    return await do_act(visit, act, show, PATH, _ENTER)


async def finish(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        duty, done, by, document = (visit.field(name) for name in ("duty", "done", "by", "document"))
        finish_duty(workspace, duty, done, by, document, datetime.now(UTC), labels_of(_FINISH))

    return await do_act(visit, act, show, PATH, _FINISH)


async def withdraw(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace
    return await do_act(
        visit,
        lambda: withdraw_duty(workspace, visit.field("duty"), visit.field("why"), labels_of(_WITHDRAW)),
        show,
        PATH,
        _WITHDRAW,
    )


PAGES = (
    Page(PATH, show, Right.OFFICE, title=template("Duties and their days"), section=Section.OFFICE),
    Page(PATH + "/enter", enter, Right.OFFICE, Method.POST),
    Page(PATH + "/finish", finish, Right.OFFICE, Method.POST),
    Page(PATH + "/withdraw", withdraw, Right.OFFICE, Method.POST),
)
