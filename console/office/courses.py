"""The course about the sound and the scheme, with its text, the attendees' test and the results."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.paper.content import Paper
from idtone.core.terminal.spreadsheet_csv import csv_text
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import registry_of
from idtone.office.authority.typed_dates import in_japan, parse_day
from idtone.office.papers.workspace_papers import office_sender
from idtone.office.training.attendances import attendance_of, attendances, record_attendance
from idtone.office.training.course import Course, course_of
from idtone.office.training.course_papers import attendance_paper, course_paper

from ..access.rights import Right
from ..form_errors import Fields, FormErrors, FormField, any_text, at_its_field, errors_of, labels_of, one_of
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .common_parts import do_act, files_of, member_choices
from .papers import pdf

PATH: Final = "/office/course"
_COLUMNS: Final = ("id", "member", "person", "version", "day", "right", "of", "passed")
_RECORD: Final[Fields] = {
    "member": FormField(template("Member"), any_text),
    "person": FormField(template("Name of the attendee")),
    "day": FormField(template("Day of the test"), parse_day),
}
_AGREEMENT: Final[Fields] = {
    "since": _RECORD["day"],
    "version": FormField(template("Version")),
    "document": FormField(template("By which document")),
}
"""Fields of the agreement recorded when a member first passes."""
_CERTIFICATE: Final[Fields] = {
    "test": FormField(template("Test"), any_text),
    "signer": FormField(template("Signed for it by"), any_text),
    "number": FormField(template("Number"), any_text, is_required=False),
}


async def course(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the course and the tests, newest first."""
    folder = files_of(visit).folder
    taken = (await visit.in_thread(attendances, folder))[::-1]
    listed = listing(visit, taken, {"member": lambda each: each.member, "day": lambda each: each.day})
    return visit.render(
        "office_course.html",
        status,
        problem=problem,
        course=await visit.in_thread(course_of, folder),
        list=listed,
        rows=listed.rows,
        certificates=[
            (each.id, f"{each.id} {each.person} ({each.member}, {each.day})")
            for each in taken
            if each.passed and each.person
        ],
        members=member_choices(visit, (await visit.in_thread(files_of(visit).registered)).members.values()),
        today=in_japan(datetime.now(UTC)).date().isoformat(),
    )


def _fields(course: Course) -> Fields:
    answers = {
        f"answer_{each.id}": FormField(Message("Question {id}", id=each.id), one_of(each.choices))
        for each in course.questions
    }
    return {**_RECORD, **answers}


async def record(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace
    present = await visit.in_thread(course_of, workspace.folder)

    def act() -> None:
        answers = {each.id: visit.field(f"answer_{each.id}") for each in present.questions}
        member, person, taken, version = (visit.field(name) for name in ("member", "person", "day", "version"))
        labels = labels_of({**_RECORD, **_AGREEMENT})
        record_attendance(workspace, member, person, taken, version, answers, datetime.now(UTC), labels)

    return await do_act(visit, act, course, PATH, _fields(present))


async def as_csv(visit: Visit) -> web.StreamResponse:
    found = await visit.in_thread(attendances, files_of(visit).folder)
    text = csv_text(_COLUMNS, [[str(getattr(each, name)) for name in _COLUMNS] for each in found])
    headers = {"Content-Disposition": 'attachment; filename="course.csv"'}
    return web.Response(text="\ufeff" + text, content_type="text/csv", charset="utf-8", headers=headers)


async def text_as_pdf(visit: Visit) -> web.StreamResponse:
    """Send the course and its test as a PDF for members."""
    folder = files_of(visit).folder
    return await pdf(visit, lambda: course_paper(course_of(folder), datetime.now(UTC)), "course")


async def certificate(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def made() -> Paper:
        errors = FormErrors()
        found = errors.read("test", lambda: attendance_of(workspace.folder, visit.field("test")))
        errors.check()
        assert found
        by = office_sender(visit.field("signer"), visit.field("number"))
        document, now = registry_of(workspace), datetime.now(UTC)
        return attendance_paper(document, found, course_of(workspace.folder), by, now)

    try:
        errors_of(_CERTIFICATE, visit.fields or {}).check()
        return await pdf(visit, made, "attendance")
    except IdtoneError as error:
        return await course(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, _CERTIFICATE))


PAGES = (
    Page(PATH, course, Right.OFFICE, title=template("Course about sound and scheme"), section=Section.OFFICE),
    Page(PATH + "/record", record, Right.OFFICE, Method.POST),
    Page(PATH + "/certificate", certificate, Right.OFFICE, Method.POST),
    Page(PATH + "/list.csv", as_csv, Right.OFFICE),
    Page(PATH + "/course.pdf", text_as_pdf, Right.OFFICE),
)
