"""The `course` commands of `idtone-office`, for the course about the sound and the scheme, and its test."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_line
from idtone.core.translation import Message, is_japanese, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.model import Name

from ..authority.change_registry import registry_of
from ..authority.workspace import Workspace
from ..papers.workspace_papers import office_sender
from ..training.attendances import attendance_of, attendances, forget_attendees, record_attendance
from ..training.course import Course, Words, answer_sheet, answers_of, course_of, score_of
from ..training.course_papers import attendance_paper, course_paper
from .options import FolderOption
from .papers import NumberOption, OutputOption, PersonOption, render_pdf, write_paper

OwnOption = Annotated[
    Path | None,
    typer.Option("--of", metavar="FOLDER", help="The association's folder, if it has a course of its own."),
]
TestArgument = Annotated[str, typer.Argument(metavar="TEST", help="The id of the test, as `course list` prints it.")]
_COLUMNS: Final = ("id", "member", "person", "version", "day", "right", "of", "passed")


def _own_course(own: Path | None) -> Course:
    """Read the course in the folder. Raises UsageError if the folder is missing.

    Otherwise idtone's own course would be shown instead of the association's.
    """
    if own is not None and not own.is_dir():
        raise UsageError("{folder}: is no folder; name the association's folder", folder=own)
    return course_of(own)


def show_course(own: OwnOption = None, as_json: command_line.JsonOption = False) -> None:
    """Show the text of the course about the sound and the scheme. A lawyer has to check it."""
    course = _own_course(own)
    if as_json:
        command_line.print_json(course.model_dump(mode="json", exclude={"questions": {"__all__": {"right", "why"}}}))
        return
    print(f"# {_said(course.title)} ({course.version})")
    for lesson in course.lessons:
        print(f"\n## {_said(lesson.title)}", *map(_said, lesson.paragraphs), sep="\n\n")


def print_course(output: OutputOption, own: OwnOption = None) -> None:
    """Print the course and its test as a PDF in Japanese and English. The test is filled in by hand."""
    write_paper(output, render_pdf(course_paper(_own_course(own), datetime.now(UTC))))
    print(output)


def take_test(own: OwnOption = None) -> None:
    """Take the test at the terminal. Exit 1: you did not pass it. Nothing is recorded.

    The last line has the answers with the version of the course, for the association's `course record`.
    """
    course = _own_course(own)
    answers = {each.id: _answer(course, place) for place, each in enumerate(course.questions)}
    score = score_of(course, answers)
    for each in score.wrong:
        print(f"{each.id}: {each.right}. {_said(each.why)}")
    command_line.say("{right} of {of} answers are right", right=score.right, of=score.of)
    command_line.say("answers: {letters}", letters=answer_sheet(course, answers))
    if not score.passed:
        command_line.exit_negative()


def record_test(
    folder: FolderOption,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")],
    answers: Annotated[
        str,
        typer.Option(
            metavar="VERSION:LETTERS", help="The course's version, and the answers in their order, as 2026-1:bbacb."
        ),
    ],
    day: Annotated[str | None, typer.Option(metavar="DAY", help="The day of the test (default: today).")] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Mark a person's test, and store the result. Exit 1: the person did not pass.

    The command asks for the name, because other users can see a command line. The first pass for a version of the
    course also records the member's agreement `training`.
    """
    workspace, now = Workspace(folder), datetime.now(UTC)
    taken = day or now.astimezone(JAPAN).date().isoformat()
    course = course_of(folder)
    letters, person = answers_of(course, answers), ask_line("Name of the attendee")
    with checking():
        made = record_attendance(
            workspace, member, person, taken, course.version, letters, now, lambda name: f"--{name}"
        )
    if as_json:
        command_line.print_json(asdict(made))
    else:
        words = Message("{id}: {right} of {of} answers are right", id=made.id, right=made.right, of=made.of)
        print(translated(words), translated(Message("passed") if made.passed else Message("not passed")), sep="; ")
    if not made.passed:
        command_line.exit_negative()


def list_attendances(
    folder: FolderOption,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List who took the course, when, and with which result."""
    form = command_line.form(as_json, as_csv, as_tsv)
    rows = [asdict(each) for each in attendances(folder)]
    if form is command_line.Form.JSON:
        command_line.print_json(rows)
    else:
        command_line.Rows(_COLUMNS, form).print([[each[name] for name in _COLUMNS] for each in rows])


def print_certificate(
    folder: FolderOption, test: TestArgument, person: PersonOption, output: OutputOption, number: NumberOption = ""
) -> None:
    """Print the certificate of attendance (受講証明書) of a test that was passed."""
    with checking():
        document = registry_of(Workspace(folder))
        found, by = attendance_of(folder, test), office_sender(person, number)
        made = attendance_paper(document, found, course_of(folder), by, datetime.now(UTC))
    write_paper(output, render_pdf(made))
    print(output)


def forget_attendees_before(
    folder: FolderOption,
    before: Annotated[str, typer.Option(metavar="DAY", help="Tests before this day, which has come.")],
) -> None:
    """Erase the names of persons who took the test before a day. The results stay."""
    count = forget_attendees(Workspace(folder), before, datetime.now(UTC), lambda name: f"--{name}")
    command_line.say("{count} names are erased", count=count)


def _answer(course: Course, place: int) -> str:
    question = course.questions[place]
    print(f"{question.id}. {_said(question.ask)}")
    for letter, words in question.choices.items():
        print(f"  {letter}  {_said(words)}")
    while (given := ask_line("Letter").lower()) not in question.choices:
        command_line.say("write one of these: {letters}", letters=", ".join(question.choices))
    return given


def _said(words: Words | Name) -> str:
    return words.ja if is_japanese() else words.en
