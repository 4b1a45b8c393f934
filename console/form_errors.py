"""Form errors by field. A page lists all of them at once and repeats each one at its field."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message

R = TypeVar("R")
Reader = Callable[[str, str], object]
"""Function that parses the text entered in a field. It receives the text and the field's label.

Raises IdtoneError.
"""


@dataclass(frozen=True, slots=True)
class FormField:
    """A form field. `label` is its name on the page, either a template or a Message."""

    label: str
    read: Reader = checked_line
    is_required: bool = True

    @property
    def words(self) -> Message:
        return self.label if isinstance(self.label, Message) else Message(self.label)


Fields = Mapping[str, FormField]
"""Fields by name, in form order."""


class FormErrors(UsageError):
    """Form errors, empty if the form is valid.

    The page shows the form again, with this object as its `problem`.
    """

    def __init__(self) -> None:
        super().__init__("")
        self._of: dict[str, IdtoneError] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def __str__(self) -> str:
        return "\n".join(map(str, self._of.values()))

    def __iter__(self) -> Iterator[tuple[str, IdtoneError]]:
        """Iterate over pairs of field and error in the order the fields were read."""
        return iter(self._of.items())

    @property
    def first(self) -> str | None:
        """The first field with an error, which receives the focus."""
        return next(iter(self._of), None)

    def of(self, field: str) -> IdtoneError | None:
        return self._of.get(field)

    def note(self, field: str, error: IdtoneError) -> None:
        """Record an error for a field unless it already has one."""
        self._of.setdefault(field, error)

    def read(self, field: str, read: Callable[[], R]) -> R | None:
        """Return the field's value as parsed by `read`.

        If `read` raises IdtoneError, record the error and return None.
        """
        try:
            return read()
        except IdtoneError as error:
            self.note(field, error)
            return None

    def take(self, fields: Fields, given: Mapping[str, str]) -> None:
        """Check the submitted values and record their errors."""
        for name, field in fields.items():
            text, label = given.get(name, "").strip(), field.words
            if text:
                self.read(name, partial(field.read, text, label))
            elif field.is_required:
                self.note(name, UsageError("{name}: fill this in", name=label))

    def in_words(self, words: Callable[[str, IdtoneError], str]) -> FormErrors:
        """The same errors, with their text replaced by what `words` returns for each field and error."""
        worded = FormErrors()
        for field, error in self:
            worded.note(field, UsageError(words(field, error)))
        return worded

    def check(self) -> None:
        """Raise this object if it contains any errors."""
        if self:
            raise self


def errors_of(fields: Fields, given: Mapping[str, str]) -> FormErrors:
    """Errors in the submitted values."""
    errors = FormErrors()
    errors.take(fields, given)
    return errors


def at_its_field(error: IdtoneError, fields: Fields) -> IdtoneError:
    """The error, attached to the field whose label it mentions, or unchanged if there is none."""
    said = str(error)
    if isinstance(error, FormErrors) or not isinstance(said, Message):
        return error
    named = [each for each in said.fields.values() if isinstance(each, Message)]
    found = next((name for name, field in fields.items() if field.words in named), None)
    if found is None:
        return error
    errors = FormErrors()
    errors.note(found, error)
    return errors


def labels_of(fields: Fields) -> Callable[[str], Message]:
    """Function that returns a field's label, for rules whose errors mention fields."""
    return lambda name: fields[name].words


def any_text(text: str, label: str) -> str:
    """The text, unchanged. For fields that another rule checks."""
    return text


def one_of(options: Container[str]) -> Reader:
    """A reader that raises UsageError for anything other than these options."""

    def read(text: str, label: str) -> str:
        if text not in options:
            raise UsageError("{name}: choose one", name=label)
        return text

    return read
