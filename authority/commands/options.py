"""What the authority's commands share: who acts and why, moments as people write them, and questions for numbers."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.documents import read_text
from idtone.errors import NumberError, TrustError, UsageError
from idtone.numbers import Number, parse, parse_japanese
from idtone.persons import acting
from idtone.registry.model import JAPAN
from idtone.settings import PASSPHRASE
from idtone.translation import Message

from ..change_registry import Attribution

_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_NUMBER: Final = re.compile(r"(?:\+|0)[0-9][0-9 ().-]{6,}[0-9]")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The authority's folder: registry.yaml, suspensions.yaml, repository.")
]
WhyOption = Annotated[str, typer.Option(metavar="TEXT", help="The reason, in one line, for the history.")]


def attributed(why: str) -> Attribution:
    """Attribution to the account that runs this command, with the reason, now. Raises UsageError as `line` does."""
    return Attribution(str(acting()), line(why, "--why"), datetime.now(UTC))


def line(text: str, option: str) -> str:
    """One readable line without a telephone number, for the history. Raises UsageError."""
    if not (text.strip() and text.isprintable() and len(text) <= 200):
        raise UsageError(
            Message("{option} is not a readable text. Write one line of 1 to 200 characters", option=option)
        )
    if any(parse(found).known for found in _NUMBER.findall(unicodedata.normalize("NFKC", text))):
        raise UsageError(
            Message("{option} contains a telephone number, which others would see; leave it out", option=option)
        )
    return text


def moment(text: str, option: str) -> datetime:
    """A day, from its beginning in Japan, or a moment with its time zone. Raises UsageError."""
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), JAPAN)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            Message(
                "{option} is not a day or a moment. Write it like 2027-01-10 or 2027-01-10T09:00:00+09:00",
                option=option,
            )
        ) from error
    if found.tzinfo is None:
        raise UsageError(
            Message("{option} has no time zone. Add it, for Japan +09:00: {text}+09:00", option=option, text=text)
        )
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UsageError(
            Message(
                "{option} is not a plausible time; write a year from {first_year} to {last_year}",
                option=option,
                first_year=_FIRST_YEAR,
                last_year=_LAST_YEAR,
            )
        )
    return found


def in_japan(at: datetime) -> datetime:
    """The time in Japan Standard Time, without fractions of a second."""
    return at.astimezone(JAPAN).replace(microsecond=0)


def number_asked() -> Number:
    """Asks for a telephone number, because a command line is in the shell's history and other users see it.

    Raises UsageError.
    """
    return _number(_asked("Number"))


def number_asked_of_two() -> Number:
    """Asks two people for the same number, without showing it. Raises UsageError."""
    first = _number(_asked("Number", hidden=True))
    if _number(_asked("Number again, entered by the second person", hidden=True)) != first:
        raise UsageError(Message("the two numbers differ; look at the request again"))
    return first


def entries_asked(file: Path | None) -> list[str]:
    """Entries of `numbers`, separated by commas or line ends, from a file or asked for. Raises UsageError."""
    if file is not None:
        lines = read_text(file).splitlines()
    elif sys.stdin.isatty():
        lines = [_asked("Numbers, separated by commas")]
    else:
        lines = sys.stdin.read().splitlines()
    entries = [entry.strip() for line in lines for entry in line.partition("#")[0].split(",") if entry.strip()]
    if not entries:
        raise UsageError(Message("no number was given; write one number, range or prefix on each line"))
    return entries


def passphrase(whose: str, twice: bool = False) -> str:
    """From the environment, otherwise asked for. Raises TrustError if there is no terminal to ask at."""
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    try:
        return str(typer.prompt(f"Passphrase {whose}", hide_input=True, confirmation_prompt=twice, err=True))
    except typer.Abort as error:
        raise TrustError(
            Message(
                "there is no passphrase {whose}; without a terminal, set {passphrase}",
                whose=whose,
                passphrase=PASSPHRASE,
            )
        ) from error


def _asked(what: str, hidden: bool = False) -> str:
    """One line; if `hidden`, the terminal does not show it."""
    if hidden and sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True)).strip()
    print(f"{what}: ", end="", file=sys.stderr, flush=True)  # standard output is for the result
    line = sys.stdin.readline()
    if not line:
        raise UsageError(Message("{what}: was not given", what=what))
    return line.strip()


def _number(text: str) -> Number:
    try:
        return parse_japanese(text)
    except NumberError as error:
        raise UsageError(Message("that number cannot be used: {error}", error=error)) from error
