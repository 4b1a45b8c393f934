"""An applicant's submission from the public form, and its states.

The content is not verified. The office reviews the submission and turns it into an application.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from idtone.core.calls import Direction
from idtone.core.errors import NumberError, UsageError
from idtone.core.terminal.prompts import entries_of
from idtone.core.text_cleaning import forbidden_character
from idtone.core.translation import template
from idtone.core.yaml_documents import Model
from idtone.registry.model import Day, Id, Moment, Name, Sha256, Text
from idtone.registry.number_notation import read_span

from ..field_problem import FieldProblem

FIELDS: Final = (
    "member", "name_ja", "name_en", "person", "contact", "signed", "signatory", "document", "pledge", "tone",
    "incoming", "outgoing", "numbers", "sheet", "remark",
)  # fmt: skip
"""Field names in the order of the form."""


class SubmissionState(StrEnum):
    """States of a submission."""

    WAITING = "waiting"
    RETURNED = "returned"
    """The office has asked the applicant for a correction."""
    RECEIVED = "received"
    """The office has turned the submission into an application."""
    DECLINED = "declined"


STATE_WORDS: Final = {
    SubmissionState.WAITING: template("waits for the office"),
    SubmissionState.RETURNED: template("sent back to the applicant"),
    SubmissionState.RECEIVED: template("received as an application"),
    SubmissionState.DECLINED: template("declined"),
}
OPEN: Final = (SubmissionState.WAITING, SubmissionState.RETURNED)
"""States in which the applicant can correct the submission."""


class SubmittedForm(Model):
    """Content of a submission.

    `member` is the applicant's id if the applicant is already a member. `numbers` are single numbers or ranges.
    """

    member: Id | None = None
    name: Name
    person: Text
    contact: Text
    signed: Day
    signatory: Text
    document: Text | None = None
    tone: Id | None = None
    directions: tuple[Direction, ...] = ()
    numbers: Annotated[tuple[str, ...], Field(repr=False)] = ()
    remark: Text | None = None


class Submission(Model):
    """A stored submission.

    `secret` is the SHA-256 of the secret that the applicant was shown once, and `pledge` is the SHA-256 of the PDF.
    `note` is the office's message to the applicant. `application` is the id of the resulting application.
    """

    id: Annotated[str, Field(pattern=r"^W-[0-9a-f]{8}$")]
    secret: Sha256
    received: Moment
    changed: Moment
    state: SubmissionState = SubmissionState.WAITING
    handed: SubmittedForm
    pledge: Sha256
    note: Text | None = None
    application: Id | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def is_over(self, before: datetime) -> bool:
        """True if the office has nothing left to do and nothing has changed since `before`."""
        return self.state is not SubmissionState.WAITING and self.changed < before


def submitted_form(
    values: Mapping[str, str], sheet: Iterable[str], tones: Iterable[str], today: date
) -> tuple[SubmittedForm | None, dict[str, FieldProblem]]:
    """Convert the form's fields to a submission's content, or return errors by field name.

    `sheet` holds the number entries from an uploaded table.
    """
    wrong = {
        name: FieldProblem("character", character)
        for name in FIELDS
        if (character := forbidden_character(values.get(name, "").replace("\n", "")))
    }
    of_sheet = list(sheet)
    if not all(map(_is_span, filter(None, of_sheet))):
        wrong.setdefault("sheet", FieldProblem("sheet"))
    entries = [*_entries(values.get("numbers", ""), wrong), *of_sheet]
    directions = [each.value for each in Direction if values.get(each.value)]
    given: dict[str, Any] = {
        name: values[name] for name in ("member", "document", "tone", "remark") if values.get(name)
    }
    given |= {name: values.get(name, "") for name in ("person", "contact", "signed", "signatory")}
    given |= {"name": {"ja": values.get("name_ja", ""), "en": values.get("name_en", "")}}
    given |= {"directions": directions, "numbers": entries}
    try:
        made = SubmittedForm.model_validate(given)
    except ValidationError as error:
        made = None
        for each in error.errors(include_input=False, include_context=False, include_url=False):
            field, *inner = map(str, each["loc"])
            name = f"name_{inner[0]}" if field == "name" and inner else field
            wrong.setdefault(name, FieldProblem("day" if name == "signed" else "id" if name == "member" else "line"))
    if _is_after(given["signed"], today):
        wrong.setdefault("signed", FieldProblem("future"))
    if given.get("tone") and given["tone"] not in set(tones):
        wrong.setdefault("tone", FieldProblem("tone"))
    if given.get("tone") and not directions:
        wrong.setdefault("incoming", FieldProblem("directions"))
    if not given.get("tone") and not entries:
        wrong.setdefault("tone", FieldProblem("nothing"))
    return (None if wrong else made), wrong


def _is_after(text: str, today: date) -> bool:
    try:
        return date.fromisoformat(text) > today
    except ValueError:
        return False


def _entries(text: str, wrong: dict[str, FieldProblem]) -> list[str]:
    if not text.strip():
        return []
    try:
        entries = entries_of(text.splitlines())
    except UsageError:
        entries = [text]
    if not all(map(_is_span, entries)):
        wrong.setdefault("numbers", FieldProblem("numbers"))
    return entries


def _is_span(entry: str) -> bool:
    try:
        read_span(entry)
    except NumberError:
        return False
    return True


def values_of(handed: SubmittedForm) -> dict[str, str]:
    """Convert a submission's content to form fields. The office's own form has the same field names."""
    found = {
        "member": handed.member, "name_ja": handed.name.ja, "name_en": handed.name.en, "person": handed.person,
        "contact": handed.contact, "signed": handed.signed.isoformat(), "signatory": handed.signatory,
        "document": handed.document, "tone": handed.tone, "numbers": "\n".join(handed.numbers), "remark": handed.remark,
        **{each.value: "yes" for each in handed.directions},
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}
