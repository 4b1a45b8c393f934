"""Refused contractors (事業者渡り), with the refusals in force and the form to end one early."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message, template
from idtone.office.refused.change_refusals import Refusals
from idtone.office.refused.refusal_basis import BASIS_WORDS, read_basis

from ..access.rights import Right
from ..form_errors import FormField, any_text
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, do_act, files_of

PATH: Final = "/office/refusals"


async def refusals(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the refusals, without the contractors' identities, which are sealed."""
    folder = files_of(visit).folder
    store = Refusals(folder).store
    found = await visit.in_thread(store.refusals)
    return visit.render(
        "office_refusals.html",
        status,
        rows=found,
        ids=[(each.id, each.id) for each in found],
        problem=problem,
        bases=BASIS_WORDS,
        basis=await visit.in_thread(read_basis, folder),
        has_key=await visit.in_thread(store.epoch) is not None,
    )


async def lift(visit: Visit) -> web.StreamResponse:
    folder = files_of(visit).folder

    def act() -> None:
        one, given = Refusals(folder), visit.field("refusal")
        found = next((each for each in one.store.refusals() if each.id == given), None)
        if found is None:
            raise UsageError("choose the refusal that ends")
        one.lift(found.number, checked_line(visit.field("why"), Message("Reason")), datetime.now(UTC))

    fields = {"refusal": FormField(template("Refusal"), any_text), **WHY}
    return await do_act(visit, act, refusals, PATH, fields)


PAGES = (
    Page(PATH, refusals, Right.OFFICE, title=template("Refused contractors"), section=Section.OFFICE),
    Page(PATH + "/lift", lift, Right.OFFICE, Method.POST),
)
