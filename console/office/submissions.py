"""Applicants' submissions, which are unverified until the office examines them."""

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.office.desk.applicants.submission import STATE_WORDS, Submission, SubmissionState
from idtone.office.desk.applicants.submissions import Submissions

from ..access.rights import Right
from ..form_errors import Fields, FormField, labels_of
from ..page import Method, Page, Visit
from .common_parts import do_act, files_of, not_found_page

PATH: Final = "/office/submissions"
_NOTE: Final[Fields] = {"note": FormField(template("What the applicant reads"))}
_ANSWERS: Final = {"return": SubmissionState.RETURNED, "decline": SubmissionState.DECLINED}


async def submission(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    try:
        found = await visit.in_thread(Submissions(files_of(visit).folder).named, visit.part("submission"))
    except UsageError as error:
        return not_found_page(visit, error)
    act = visit.request.path.rpartition("/")[2]
    return visit.render(
        "office_submission.html", status, problem=problem, found=found, seen=stamp_of(found), words=STATE_WORDS, act=act
    )


def stamp_of(found: Submission | None) -> str:
    """Digest of a submission's state. Empty for None.

    Forms send it, so that they act only on the state that a person has read.
    """
    return hashlib.sha256(found.model_dump_json().encode()).hexdigest() if found else ""


def seen_submission(folder: Path, id_: str, seen: str) -> Submission:
    """The submission that the page showed. Raises UsageError if the applicant has changed it since."""
    found = Submissions(folder).named(id_)
    if stamp_of(found) != seen:
        raise UsageError("the applicant has changed this application since you read it; read it again")
    return found


async def answer(visit: Visit) -> web.StreamResponse:
    """Return the submission to the applicant for correction, or decline it."""
    folder, id_, state = files_of(visit).folder, visit.part("submission"), _ANSWERS.get(visit.part("answer"))
    if state is None:
        return not_found_page(visit, Message("There is no such page."))

    def act() -> None:
        found = seen_submission(folder, id_, visit.field("seen"))
        Submissions(folder).answer(found, state, visit.field("note"), labels_of(_NOTE)("note"))

    return await do_act(visit, act, submission, f"{PATH}/{id_}", _NOTE)


async def pledge(visit: Visit) -> web.StreamResponse:
    """Send the applicant's PDF as a download, so that browsers save it instead of opening it."""
    kept, id_ = Submissions(files_of(visit).folder), visit.part("submission")

    def read() -> bytes:
        with kept.locked():  # the applicant may be replacing it
            return kept.pdf(kept.named(id_))

    try:
        octets = await visit.in_thread(read)
    except IdtoneError as error:
        return not_found_page(visit, error)
    headers = {"Content-Disposition": 'attachment; filename="pledge.pdf"'}
    return web.Response(body=octets, content_type="application/pdf", headers=headers)


PAGES = (
    Page(PATH + "/{submission}", submission, Right.OFFICE),
    Page(PATH + "/{submission}/pledge.pdf", pledge, Right.OFFICE),
    Page(PATH + "/{submission}/answer/{answer}", answer, Right.OFFICE, Method.POST),
)
