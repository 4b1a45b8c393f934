"""Options and prompts shared by several `idtone-office` commands."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import NumberError, UsageError
from idtone.core.files import reading
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number
from idtone.core.persons import acting_person
from idtone.core.terminal.prompts import any_number_of, ask_line, number_of
from idtone.core.terminal.prompts import ask_entries as typed_entries
from idtone.core.terminal.prompts import ask_number as ask_number
from idtone.core.terminal.prompts import checked_line as checked_line
from idtone.registry.number_notation import read_span

from ..authority.change_registry import Attribution
from ..authority.number_sheet import sheet_entries
from ..authority.typed_dates import in_japan as in_japan
from ..authority.typed_dates import parse_day as parse_day
from ..authority.typed_dates import parse_end as parse_end
from ..authority.typed_dates import parse_moment as parse_moment
from .office_folder import AnyFolderOption as AnyFolderOption
from .office_folder import FolderOption as FolderOption

WhyOption = Annotated[str, typer.Option(metavar="TEXT", help="The reason, in one line, for the history.")]


def attribution_for(why: str) -> Attribution:
    """Attribute a change to the account that runs the command, with the reason `why`.

    Raises UsageError if the reason is not one readable line of 1 to 200 characters or contains a telephone number.
    """
    return Attribution(str(acting_person()), checked_line(why, "--why"), datetime.now(UTC))


def ask_number_entries(file: Path | None) -> list[str]:
    """Read number entries from a spreadsheet (`.csv`) or text file, or ask for them if `file` is None.

    Raises UsageError.
    """
    if file is None or file.suffix.lower() != ".csv":
        return typed_entries(file)
    with reading(file, UsageError):
        octets = file.read_bytes()
    return sheet_entries(octets, file.name)


def ask_any_number() -> Number:
    """Ask for a number, which may be a foreign one. Raises UsageError."""
    return any_number_of(ask_line("Number"))


def ask_two_for_number() -> Number:
    """Ask two people for the same number without echoing it. Raises UsageError if the two entries differ."""
    first = number_of(ask_line("Number", hidden=True))
    if number_of(ask_line("Number again, entered by the second person", hidden=True)) != first:
        raise UsageError("the two numbers differ; look at the request again")
    return first


def ask_two_for_range() -> NumberSpan:
    """Ask two people for the same range or prefix without echoing it. Raises UsageError if the two entries differ."""
    first = _span(ask_line("Range or prefix", hidden=True))
    if _span(ask_line("Range or prefix again, entered by the second person", hidden=True)) != first:
        raise UsageError("the two ranges differ; look at the request again")
    return first


def ask_two_for_member() -> str:
    """Ask two people for the same member id. Raises UsageError if the two entries differ."""
    first = ask_line("Member")
    if ask_line("Member again, entered by the second person") != first:
        raise UsageError("the two members differ; look at the request again")
    return first


def ask_two_for_suspended() -> NumberSpan | str:
    """Ask two people for the same number, range, prefix or member id without echoing it.

    Raises UsageError if the two entries differ.
    """
    first = _scope(ask_line("Number, range, prefix or member", hidden=True))
    if _scope(ask_line("The same again, entered by the second person", hidden=True)) != first:
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
