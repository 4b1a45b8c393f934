"""What the desk's commands share: who does it and why, moments as people write them, and numbers that are asked for."""

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
from idtone.settings import PASSPHRASE

from ..model import JAPAN
from .changing import Word

_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_NUMBER: Final = re.compile(r"(?:\+|0)[0-9][0-9 ().-]{6,}[0-9]")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The desk's folder: registry.yaml, suspensions.yaml, repository.")
]
ByOption = Annotated[str, typer.Option(metavar="NAME", help="Who does it, for the history.")]
ByHandConfirmed = Annotated[
    str | None,
    typer.Option("--confirmed-by", metavar="NAME", help="Who confirms a change of suspensions.yaml by hand."),
]
WhyOption = Annotated[str, typer.Option(metavar="TEXT", help="Why, in a line, for the history.")]


def word(by: str, why: str, confirmed_by: str | None = None) -> Word:
    """Raises UsageError for a line that nobody could read later."""
    for option, text in (("--by", by), ("--why", why), ("--confirmed-by", confirmed_by)):
        if text is not None:
            line(text, option)
    if confirmed_by is not None and _person(by) == _person(confirmed_by):
        raise UsageError("--confirmed-by is the same person as --by; this takes two")
    return Word(by, why, datetime.now(UTC), confirmed_by, str(acting()))


def line(text: str, option: str) -> str:
    """A text for the history, which shows no number. Raises UsageError."""
    if not (text.strip() and text.isprintable() and len(text) <= 200):
        raise UsageError(f"{option} is not a readable text. Write one line of 1 to 200 characters")
    if any(parse(found).known for found in _NUMBER.findall(unicodedata.normalize("NFKC", text))):
        raise UsageError(f"{option} has a telephone number in it, which others would see; leave it out")
    return text


def _person(name: str) -> str:
    """A name as it is compared: however wide its letters are, and whatever stands between them."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def moment(text: str, option: str) -> datetime:
    """A day, from its beginning in Japan, or a moment with its time zone. Raises UsageError."""
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), JAPAN)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} is not a day or a moment. Write it like 2027-01-10 or 2027-01-10T09:00:00+09:00"
        ) from error
    if found.tzinfo is None:
        raise UsageError(f"{option} has no time zone. Add it, for Japan +09:00: {text}+09:00")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UsageError(f"{option} is no sensible time; write a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return found


def number_asked(confirmed: bool) -> Number:
    """A telephone number has no place on a command line, where other users and the shell's history see it.

    With `confirmed` it is asked for twice, the second time for another person. Raises UsageError.
    """
    first = _number(_asked("Number", hidden=confirmed))
    if confirmed and _number(_asked("Number again, by who confirms it", hidden=True)) != first:
        raise UsageError("the two numbers are not the same; look at the request again")
    return first


def entries_asked(file: Path | None) -> list[str]:
    """Entries of `numbers`, one a line: of a file, or asked for. Raises UsageError."""
    if file is not None:
        lines = read_text(file).splitlines()
    elif sys.stdin.isatty():
        lines = [_asked("Numbers, with commas between")]
    else:
        lines = sys.stdin.read().splitlines()
    entries = [entry.strip() for line in lines for entry in line.partition("#")[0].split(",") if entry.strip()]
    if not entries:
        raise UsageError("no number was given; write one, a range or a prefix on each line")
    return entries


def passphrase(whose: str, twice: bool = False) -> str:
    """Raises TrustError where nobody can be asked."""
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    try:
        return str(typer.prompt(f"Passphrase {whose}", hide_input=True, confirmation_prompt=twice, err=True))
    except typer.Abort as error:
        raise TrustError(f"there is no passphrase {whose}; set {PASSPHRASE} where nobody can be asked") from error


def _asked(what: str, hidden: bool = False) -> str:
    """A line; hidden, nobody else reads it off the screen."""
    if hidden and sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True)).strip()
    print(f"{what}: ", end="", file=sys.stderr, flush=True)  # standard output belongs to the answer
    line = sys.stdin.readline()
    if not line:
        raise UsageError(f"{what}: was not given")
    return line.strip()


def _number(text: str) -> Number:
    try:
        return parse_japanese(text)
    except NumberError as error:
        raise UsageError(f"that is no number to be stopped: {error}") from error
