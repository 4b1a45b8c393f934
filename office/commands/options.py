"""What the authority's commands share: who acts and why, moments as people write them, and questions for numbers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import NumberError, UsageError
from idtone.core.files import reading
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number
from idtone.core.persons import acting
from idtone.core.terminal.prompts import any_number_of, asked, number_of
from idtone.core.terminal.prompts import entries_asked as typed_entries
from idtone.core.terminal.prompts import line as line
from idtone.core.terminal.prompts import number_asked as number_asked
from idtone.registry.number_notation import read_span

from ..authority.change_registry import Attribution
from ..authority.moments import day as day
from ..authority.moments import end as end
from ..authority.moments import in_japan as in_japan
from ..authority.moments import moment as moment
from ..authority.number_sheet import sheet_entries
from .office_folder import AnyFolderOption as AnyFolderOption
from .office_folder import FolderOption as FolderOption

WhyOption = Annotated[str, typer.Option(metavar="TEXT", help="The reason, in one line, for the history.")]


def attributed(why: str) -> Attribution:
    """Attribution to the account that runs this command, with the reason, now. Raises UsageError as `line` does."""
    return Attribution(str(acting()), line(why, "--why"), datetime.now(UTC))


def entries_asked(file: Path | None) -> list[str]:
    """Entries of numbers: of a table as a spreadsheet saves it (`.csv`), of a text file, or asked for. Raises
    UsageError.
    """
    if file is None or file.suffix.lower() != ".csv":
        return typed_entries(file)
    with reading(file, UsageError):
        octets = file.read_bytes()
    return sheet_entries(octets, file.name)


def any_number_asked() -> Number:
    """The same as `number_asked`, also for a number abroad. Raises UsageError."""
    return any_number_of(asked("Number"))


def number_asked_of_two() -> Number:
    """Asks two people for the same number, without showing it. Raises UsageError."""
    first = number_of(asked("Number", hidden=True))
    if number_of(asked("Number again, entered by the second person", hidden=True)) != first:
        raise UsageError("the two numbers differ; look at the request again")
    return first


def range_asked_of_two() -> NumberSpan:
    """Asks two people for the same range or prefix, without showing it. Raises UsageError."""
    first = _span(asked("Range or prefix", hidden=True))
    if _span(asked("Range or prefix again, entered by the second person", hidden=True)) != first:
        raise UsageError("the two ranges differ; look at the request again")
    return first


def member_asked_of_two() -> str:
    """Asks two people for the id of the same member. Raises UsageError."""
    first = asked("Member")
    if asked("Member again, entered by the second person") != first:
        raise UsageError("the two members differ; look at the request again")
    return first


def suspended_asked_of_two() -> NumberSpan | str:
    """Asks two people for the same number, range, prefix or member, without showing it. Raises UsageError."""
    first = _scope(asked("Number, range, prefix or member", hidden=True))
    if _scope(asked("The same again, entered by the second person", hidden=True)) != first:
        raise UsageError("the two entries differ; look at the request again")
    return first


def _span(text: str) -> NumberSpan:
    try:
        return read_span(text)
    except NumberError as error:
        raise UsageError("that range cannot be used: {error}", error=error) from error


def _scope(text: str) -> NumberSpan | str:
    try:
        return read_span(text)
    except NumberError:
        return text
