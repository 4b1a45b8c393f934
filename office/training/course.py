"""The course (課程) about the sound and the scheme: lessons, and a test with questions and answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from idtone.core.errors import UsageError
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, parse, read_text
from idtone.registry.model import Id, Name

FILE: Final = "training_course.yaml"
"""Name of the course file. The association's own file replaces the course shipped with idtone."""
Letter = Literal["a", "b", "c", "d"]


class Words(Model):
    """Text in Japanese and English."""

    ja: Annotated[str, Field(min_length=1, max_length=2000)]
    en: Annotated[str, Field(min_length=1, max_length=2000)]


class Lesson(Model):
    id: Id
    title: Name
    paragraphs: Annotated[tuple[Words, ...], Field(min_length=1)]


class Question(Model):
    """A test question. `choices` maps letters to answers. `why` explains the correct answer."""

    id: Id
    ask: Words
    choices: Annotated[dict[Letter, Words], Field(min_length=2)]
    right: Letter
    why: Words


class Course(Model):
    """The course and its test. To pass, at least `pass_percent` percent of the answers must be correct."""

    version: Id
    pass_percent: Annotated[int, Field(ge=1, le=100)]
    title: Name
    lessons: Annotated[tuple[Lesson, ...], Field(min_length=1)]
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Score:
    right: int
    of: int
    passed: bool
    wrong: Sequence[Question]


def course_of(folder: Path | None) -> Course:
    """Read the association's own course in its folder, or the course shipped with idtone. Raises DocumentError."""
    own = folder / FILE if folder else None
    if own and own.exists():
        return parse(read_text(own), str(own), Course, _faults)
    return parse((resources.files("idtone.config") / FILE).read_text("utf-8"), FILE, Course, _faults)


def score_of(course: Course, answers: Mapping[str, str]) -> Score:
    """Score a test. `answers` maps each question's id to a letter. Raises UsageError if an answer is missing."""
    for each in course.questions:
        if answers.get(each.id, "") not in each.choices:
            raise UsageError(
                "question {id} has no answer; answer each question with one of its letters: {letters}",
                id=each.id,
                letters=", ".join(each.choices),
            )
    wrong = [each for each in course.questions if answers[each.id] != each.right]
    of = len(course.questions)
    right = of - len(wrong)
    return Score(right, of, 100 * right >= course.pass_percent * of, wrong)


def answer_sheet(course: Course, answers: Mapping[str, str]) -> str:
    """Abbreviate answers, together with the course's version, as in `2026-1:bbacb`."""
    return f"{course.version}:{''.join(answers[each.id] for each in course.questions)}"


def answers_of(course: Course, sheet: str) -> dict[str, str]:
    """Parse answers such as `2026-1:bbacb`, with one letter for each question in order.

    Raises UsageError if the text does not match this version of the course.
    """
    version, _, letters = sheet.strip().rpartition(":")
    if version.strip() != course.version:
        raise UsageError(
            "the answers are of the course {given!r}, and the present one is {version}; write VERSION:LETTERS as "
            "the attendee's sheet has them, and let the attendee take the present test if the version differs",
            given=version.strip(),
            version=course.version,
        )
    given = letters.strip().lower().replace(" ", "")
    if len(given) != len(course.questions):
        raise UsageError(
            "write one letter for each of the {count} questions, in their order", count=len(course.questions)
        )
    return {each.id: letter for each, letter in zip(course.questions, given, strict=True)}


def _faults(course: Course) -> Iterator[ValidationFault]:
    seen = set[str]()
    for place, each in enumerate(course.questions):
        if each.id in seen:
            yield ValidationFault(
                ("questions", place, "id"), Message("is there twice"), Message("Give each question its own id")
            )
        seen.add(each.id)
        if each.right not in each.choices:
            yield ValidationFault(
                ("questions", place, "right"),
                Message("is no letter of a choice"),
                Message("Write one of these: {names}", names=", ".join(each.choices)),
            )
