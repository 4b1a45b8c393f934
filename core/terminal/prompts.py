"""Prompts for sensitive values and validates text that will be stored permanently."""

import os
import re
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

import typer

from ..errors import NumberError, TrustError, UsageError
from ..new_passphrases import suggested_passphrase
from ..numbers import Number, ascii_form, holds_number, parse, parse_japanese
from ..settings.settings import PASSPHRASE
from ..text_cleaning import clean_text, forbidden_character
from ..translation import Message, translated
from ..yaml_documents import read_text


def checked_line(text: str, option: str) -> str:
    """Check that an option's text is one readable line without a telephone number. Raises UsageError.

    The text will be stored permanently.
    """
    text = clean_text(text).strip()
    character = forbidden_character(text)
    if character and "\n" not in text:
        raise UsageError(
            "{option} is not a readable text: it has the character {character}; leave it out",
            option=option,
            character=character,
        )
    if not text or character or len(text) > 200:
        raise UsageError("{option} is not a readable text. Write one line of 1 to 200 characters", option=option)
    if holds_number(text):
        raise UsageError("{option} contains a telephone number, which others would see; leave it out", option=option)
    return text


def parse_day(text: str, option: str) -> date:
    """Parse a date option such as 2026-12-01. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "{option} {text!r} is not a day; write it like 2026-12-01", option=option, text=text
        ) from error


def ask_number() -> Number:
    """Prompt for a telephone number. Raises UsageError.

    A command-line argument would be saved in the shell history and visible to other users.
    """
    return number_of(ask_line("Number"))


def ask_entries(file: Path | None) -> list[str]:
    """Read telephone number entries from a file, a prompt or standard input. Raises UsageError.

    Commas or line ends separate the entries.
    """
    if file is not None:
        lines = read_text(file).splitlines()
    elif sys.stdin.isatty():
        lines = [ask_line("Numbers, separated by commas")]
    else:
        lines = sys.stdin.read().splitlines()
    return entries_of(lines)


def entries_of(lines: Iterable[str]) -> list[str]:
    """Parse telephone number entries from lines as people write or paste them.

    `#` begins a comment. Raises UsageError if there is no entry or if only a space separates two entries.

        03-1234-0100〜0199                  a range; the end may leave out what it has in common with the start
        03-1234-0100から0199まで             the same
        03-1234-0100<tab>03-1234-0199       its two columns, as a spreadsheet pastes them
    """
    entries = [_entry(entry) for line in lines for entry in _SEPARATORS.split(line.partition("#")[0]) if entry.strip()]
    if not entries:
        raise UsageError("no number was given; write one number, range or prefix on each line")
    return entries


def _entry(text: str) -> str:
    """Normalize an entry, writing both ends of a range in full. Raises UsageError for numbers separated by spaces."""
    if two := _TWO_CELLS.fullmatch(ascii_form(text)):
        return f"{two[1]}-{two[2]}"
    if _SIDE_BY_SIDE.fullmatch(ascii_form(text)):
        raise UsageError(
            "numbers stand side by side on one line: two numbers go on two lines, and a range has a hyphen: "
            "0312340100-0312340199"
        )
    first, mark, last = _RANGE.sub(_MARK, text.strip()).partition(_MARK)
    if not mark or _MARK in last:
        return text.strip()
    last = _UP_TO.sub("", last)
    digits, tail = (_NO_DIGIT.sub("", ascii_form(end)) for end in (first, last))
    if not parse(last).e164.startswith("+") and 0 < len(tail) < len(digits):
        plus = "+" * ascii_form(first).startswith("+")
        first, last = plus + digits, plus + digits[: -len(tail)] + tail
    return f"{first.strip()}-{last.strip()}"


_SEPARATORS: Final = re.compile("[,\u3001\uff0c]")
_RANGE: Final = re.compile("[\u301c\uff5e~]+|から")
_UP_TO: Final = re.compile("(?:まで|迄)\\s*$")
_CELL: Final = r"[+(]?[0-9][0-9().-]{7,16}[0-9]"
_TWO_CELLS: Final = re.compile(rf"({_CELL}) *\t *({_CELL})")
_SIDE_BY_SIDE: Final = re.compile(rf"{_CELL}(?:\s+{_CELL})+")
_MARK: Final = "\0"
_NO_DIGIT: Final = re.compile("[^0-9]")


def ask_line(what: str, hidden: bool = False) -> str:
    """Prompt for a line. If `hidden`, the terminal does not show the input."""
    what = translated(what)
    if hidden and sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True)).strip()
    print(f"{what}: ", end="", file=sys.stderr, flush=True)  # standard output is for the result
    line = sys.stdin.readline()
    if not line:
        raise UsageError("{what}: was not given", what=what)
    return line.strip()


def ask_confirmation(question: str) -> bool:
    """Ask a yes/no question. An empty answer means no. Raises typer.Abort at the end of the input."""
    while True:
        print(f"{translated(question)} [y/N]: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        answer = line.strip().lower()
        if answer in _ANSWERS:
            return _ANSWERS[answer]
        print(translated("answer with y (yes) or n (no)"), file=sys.stderr)


_ANSWERS: Final = {"y": True, "yes": True, "はい": True, "n": False, "no": False, "いいえ": False, "": False}


def ask_secret(question: str, twice: bool = False) -> str:
    """Prompt for a secret without echo. Raises typer.Abort without a terminal.

    With `twice`, asks for the secret twice, until both entries match.
    """
    shown = translated(question)
    while True:
        first = str(typer.prompt(shown, hide_input=True, err=True))
        if not twice or typer.prompt(translated("The same again"), hide_input=True, err=True) == first:
            return first
        print(translated("the two differ; type both again"), file=sys.stderr)


def ask_passphrase(whose: str, twice: bool = False) -> str:
    """Passphrase from the environment or a prompt. Raises TrustError without a terminal.

    Use `twice` for a new key: it shows a suggested passphrase and asks for the passphrase twice.
    """
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    try:
        if twice and sys.stdin.isatty():
            offer = Message("made by chance, if you want it: {suggested}", suggested=suggested_passphrase())
            print(translated(offer), file=sys.stderr)
        return ask_secret(Message("Passphrase {whose}", whose=whose), twice)
    except typer.Abort as error:
        raise TrustError(
            "there is no passphrase {whose}; without a terminal, set {passphrase}", whose=whose, passphrase=PASSPHRASE
        ) from error


def number_of(text: str) -> Number:
    """Parse a complete Japanese number. Raises UsageError."""
    try:
        return parse_japanese(text)
    except NumberError as error:
        raise UsageError("that number cannot be used: {error}", error=error) from error


def any_number_of(text: str) -> Number:
    """Parse a Japanese or foreign number. Raises UsageError."""
    number = parse(text)
    if not number.known:
        raise UsageError("that is not a telephone number; write it like 0312345678 or +12025550123")
    return number
