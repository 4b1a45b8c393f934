"""What the commands of `idtone ledger` share: their options, how they read times, and how they open the ledger."""

from __future__ import annotations

import os
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from idtone.errors import UsageError
from idtone.settings import LedgerSettings, load_settings

from ..day_keys import DayKeys
from ..key_file import read_key
from ..persons import Person, acting
from ..reader import LedgerReader
from ..sealing import KeyRing, day_of

LedgerOption = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="Ledger to read (default: ledger.url of the settings).")
]


def parse_day(text: str, now: datetime) -> str:
    """A day of UTC that is not in the future. Raises UsageError."""
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"--before {text!r} is not a day; write it like 2026-11-01") from error
    if day > day_of(now):
        raise UsageError(f"--before {day} is in the future; numbers of today are still being sealed")
    return day


_AGO: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """`2h` (s, m, h, d) before `now`, or a moment in ISO 8601 with its offset. Raises UsageError."""
    ago = _AGO.fullmatch(text)
    try:
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text!r} is not a time; write 2h, 7d or 2026-11-01T00:00:00+09:00") from error
    if moment.utcoffset() is None:
        raise UsageError(f"{option} {text!r} has no time zone; add it, for Japan +09:00")
    return moment


def reader_of(config: Path | None, ledger: str | None) -> LedgerReader:
    settings = load_settings(config).ledger
    return LedgerReader.open(ledger if ledger is not None else settings.url, days_of(settings))


def answerable(settings: LedgerSettings) -> Person:
    """Who runs this, where that is a person and no account that several use. Raises UsageError."""
    person = acting()
    if person.uid in (0, settings.key_file.stat().st_uid):
        raise UsageError(
            f"{person.name} is no person's own account, and exports take two persons here (ledger.exports); log in as"
            " yourself and run this by sudo, as the user that `idtone serve` runs as"
        )
    return person


def days_of(settings: LedgerSettings) -> DayKeys | None:
    """None where this user has no key: then numbers stay sealed."""
    if not os.access(settings.key_file, os.R_OK):
        return None
    return DayKeys(settings.day_keys(), KeyRing(read_key(settings.key_file)))


def local(at: datetime) -> str:
    """By the clock on the wall here."""
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds")


def print_table(columns: tuple[str | Column, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*map(Text, row))  # as it stands: square brackets are no markup here
    Console().print(table)
