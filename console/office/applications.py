"""Members' applications, which the office receives, examines and grants."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message, template
from idtone.core.yaml_documents import read_text
from idtone.office.authority import change_registry
from idtone.office.authority.history import ReviewResult
from idtone.office.authority.typed_dates import in_japan, parse_end, parse_moment
from idtone.office.desk.applicants.submission import STATE_WORDS

from ..access.rights import Right
from ..form_errors import Fields, FormField, one_of
from ..page import Method, Page, Section, Visit
from ..uploads import Upload
from .act_words import words_of
from .common_parts import WHY, attribution_of, do_act, do_act_on_file, files_of, not_found_page, spans_of

PATH: Final = "/office/applications"
LIMIT: Final = 1_000_000
"""Maximum size of an application in bytes."""
NUMBERS_SHOWN: Final = 100
_REVIEW: Final[Fields] = {"result": FormField(template("Result"), one_of(set(ReviewResult))), **WHY}
_GRANT: Final[Fields] = {
    "from": FormField(template("Valid from"), parse_moment, is_required=False),
    "until": FormField(template("Valid until"), parse_end),
    **WHY,
}


async def applications(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files = files_of(visit)
    found, handed = await visit.in_thread(files.applications), await visit.in_thread(files.submissions)
    return visit.render(
        "office_applications.html",
        status,
        found=found[::-1],
        submissions=[each for each in handed if each.is_open],
        submission_words=STATE_WORDS,
        problem=problem,
    )


async def application(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, wanted = files_of(visit), visit.part("application")
    found = next((each for each in await visit.in_thread(files.applications) if each[0].id == wanted), None)
    if found is None:
        return not_found_page(visit, Message("There is no such application."))
    history = await visit.in_thread(files.history)
    asked, handed = found[0], await visit.in_thread(files.submissions)
    return visit.render(
        "office_application.html",
        status,
        asked=asked,
        state=found[1],
        words=words_of,
        problem=problem,
        submission=next((each for each in handed if each.application == asked.id), None),
        numbers=spans_of(asked.numbers[:NUMBERS_SHOWN]),
        lines=[each for each in history if each[0].subject == asked.id],
        is_known=asked.member.id in (await visit.in_thread(files.registered)).members,
    )


async def receive(visit: Visit) -> web.StreamResponse:
    """Receive a member's application as a YAML file."""
    workspace = files_of(visit).workspace

    def act(upload: Upload) -> str:
        text, name = read_text(upload.file, size_limit=LIMIT), upload.name or "application.yaml"
        kept, _ = change_registry.accept_application(workspace, text, name, attribution_of(visit))
        return f"{PATH}/{kept.id}"

    return await do_act_on_file(visit, LIMIT, act, applications, WHY, Message("choose the file of the application"))


async def review(visit: Visit) -> web.StreamResponse:
    files, name = files_of(visit), visit.part("application")

    def act() -> None:
        change_registry.review_application(
            files.workspace, name, ReviewResult(visit.field("result")), attribution_of(visit)
        )

    return await do_act(visit, act, application, f"{PATH}/{name}", _REVIEW)


async def grant(visit: Visit) -> web.StreamResponse:
    files, name = files_of(visit), visit.part("application")

    def act() -> None:
        given = visit.field("from")
        start = parse_moment(given, Message("Valid from")) if given else in_japan(datetime.now(UTC))
        until = parse_end(visit.field("until"), Message("Valid until"))
        change_registry.grant_application(files.workspace, name, start, until, attribution_of(visit))

    return await do_act(visit, act, application, f"{PATH}/{name}", _GRANT)


PAGES = (
    Page(PATH, applications, Right.OFFICE, title=template("Applications"), section=Section.OFFICE),
    Page(PATH, receive, Right.OFFICE, Method.POST, uploads=True),
    Page(PATH + "/{application}", application, Right.OFFICE),
    Page(PATH + "/{application}/review", review, Right.OFFICE, Method.POST),
    Page(PATH + "/{application}/grant", grant, Right.OFFICE, Method.POST),
)
