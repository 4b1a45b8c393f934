"""Parses days and times typed by people. `option` is the name of the input in error messages."""

import re
from datetime import date, datetime, time, timedelta
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN

_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse_day(text: str, option: str) -> date:
    """Parse a day in Japan, such as 2027-01-10. Raises UsageError."""
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UsageError("{option} is not a day. Write it like 2027-01-10", option=option)
    return found


def parse_past_day(text: str, option: str, now: datetime) -> date:
    """Parse a day in Japan that is not in the future. Raises UsageError."""
    found = parse_day(text, option)
    if found > in_japan(now).date():
        raise UsageError("{option} is in the future; write it when it has come", option=option)
    return found


def parse_moment(text: str, option: str) -> datetime:
    """Parse a time with its time zone, or a day, which means the start of that day in Japan. Raises UsageError."""
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), JAPAN)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "{option} is not a day or a moment. Write it like 2027-01-10 or 2027-01-10T09:00:00+09:00", option=option
        ) from error
    if found.tzinfo is None:
        raise UsageError("{option} has no time zone. Add it, for Japan +09:00: {text}+09:00", option=option, text=text)
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise UsageError(
            "{option} is not a plausible time; write a year from {first_year} to {last_year}",
            option=option,
            first_year=_FIRST_YEAR,
            last_year=_LAST_YEAR,
        )
    return found


def parse_end(text: str, option: str) -> datetime:
    """Parse the end of a period, given as a time with its time zone or as a last day. Raises UsageError.

    A last day ends at the start of the next day in Japan.
    """
    found = parse_moment(text, option)
    return found + timedelta(days=1) if _DAY.fullmatch(text) else found


def parse_day_after(text: str, option: str) -> date:
    """Parse the last day of a period and return the day after it. Raises UsageError."""
    return parse_day(text, option) + timedelta(days=1)


def in_japan(at: datetime) -> datetime:
    """Convert a time to Japan Standard Time, without fractions of a second."""
    return at.astimezone(JAPAN).replace(microsecond=0)
