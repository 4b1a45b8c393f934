"""Duties with a day: what is open, what is overdue, and who has done what."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message, template
from idtone.office.authority.duties import DUTY_WORDS, duties, enter_duty, finish_duty, is_overdue, open_first
from idtone.office.authority.moments import in_japan

from ..access.rights import Right
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .acts import acted, files_of

PATH: Final = "/office/duties"
_LABELS: Final = {
    "what": template("What is to be done"),
    "due": template("Due day"),
    "done": template("Done on"),
    "by": template("Done by"),
    "document": template("By which document"),
}


async def show(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """The open ones, or all."""
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    found = open_first(await visit.in_thread(duties, files.folder))
    listed = listing(visit, [each for each in found if visit.query("all") or not each.done], {})
    return visit.render(
        "office_duties.html",
        status,
        problem=problem,
        words=DUTY_WORDS,
        list=listed,
        rows=[(each, is_overdue(each, today)) for each in listed.rows],
        open=[each for each in found if not each.done],
        members=(await visit.in_thread(files.registered)).members,
        today=today.isoformat(),
    )


def _label(name: str) -> Message:
    return Message(_LABELS[name])


async def enter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        kind, member, what, due = (visit.field(name) for name in ("kind", "member", "what", "due"))
        enter_duty(workspace, kind, member, what, due, _label)

    return await acted(visit, act, show, PATH)


async def finish(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        duty, done, by, document = (visit.field(name) for name in ("duty", "done", "by", "document"))
        finish_duty(workspace, duty, done, by, document, datetime.now(UTC), _label)

    return await acted(visit, act, show, PATH)


PAGES = (
    Page(PATH, show, Right.OFFICE, title=template("Duties and their days"), section=Section.OFFICE),
    Page(PATH + "/enter", enter, Right.OFFICE, Method.POST),
    Page(PATH + "/finish", finish, Right.OFFICE, Method.POST),
)
