"""Times as people in Japan read and type them. Each page names the zone once, in its foot. Pure."""

import re
from datetime import date, datetime, time
from typing import Final

from idtone.core import japan_time
from idtone.core.japan_time import JAPAN


def format_time(at: datetime | None) -> str:
    """The filter `time`: a time to the second."""
    return "" if at is None else at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S")


def format_to_minute(at: datetime | None) -> str:
    """The filter `minute`: a time to the minute, for acts of a person."""
    return "" if at is None else at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def day(at: datetime | str) -> str:
    """The filter `day`: the day of a moment in Japan."""
    return format_time(datetime.fromisoformat(at) if isinstance(at, str) else at)[:10]


def format_times_in(text: str) -> str:
    """The filter `written`: the text, with each moment in it rewritten to the minute as people write it."""
    return _MOMENT.sub(lambda match: format_to_minute(datetime.fromisoformat(match[0])), text)


_MOMENT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)")
"""A pattern of a moment with its time zone, in ISO 8601."""


def format_to_millisecond(at: datetime) -> str:
    """The time, exact to the millisecond."""
    local = at.astimezone(JAPAN)
    return f"{local.strftime('%Y-%m-%d %H:%M:%S')}.{local.microsecond // 1000:03}"


def last_day(until: datetime | date | str) -> str:
    """The filter `last_day`: the last day of a period that ends before `until`."""
    return japan_time.last_day(until).isoformat()


def last_moment(until: datetime | None) -> str:
    """The filter `until`: the last day of a period if it ends at midnight, otherwise its end to the minute."""
    if until is None:
        return ""
    return last_day(until) if until.astimezone(JAPAN).time() == time() else format_to_minute(until)


def parse_typed_time(text: str) -> datetime:
    """The moment in a date or time field of a browser. A day alone means its beginning. A zone in the text counts;
    otherwise it is the time in Japan.

    Raises ValueError, OverflowError.
    """
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=JAPAN)


def with_zone(text: str) -> str:
    """A typed moment with its zone added, for a rule that demands one. A day alone stays unchanged, and so does any
    other text.
    """
    try:
        return parse_typed_time(text).isoformat() if "T" in text or " " in text else text
    except ValueError:
        return text
