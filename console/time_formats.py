"""Times as people in Japan read and type them. Pages mention the time zone once, at the bottom."""

import re
from datetime import date, datetime, time
from typing import Final

from idtone.core import japan_time
from idtone.core.japan_time import JAPAN


def format_time(at: datetime | None) -> str:
    """Filter `time`: a time to the second, or an empty string for None."""
    return "" if at is None else at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S")


def format_to_minute(at: datetime | None) -> str:
    """Filter `minute`: a time to the minute, for people's acts, or an empty string for None."""
    return "" if at is None else at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def day(at: datetime | str) -> str:
    """Filter `day`: a moment's date in Japan."""
    return format_time(datetime.fromisoformat(at) if isinstance(at, str) else at)[:10]


def format_times_in(text: str) -> str:
    """Filter `written`: the text with each ISO 8601 moment replaced by a time to the minute."""
    return _MOMENT.sub(lambda match: format_to_minute(datetime.fromisoformat(match[0])), text)


_MOMENT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)")
"""Pattern for an ISO 8601 moment with its time zone."""


def format_to_millisecond(at: datetime) -> str:
    """The time, truncated to milliseconds."""
    local = at.astimezone(JAPAN)
    return f"{local.strftime('%Y-%m-%d %H:%M:%S')}.{local.microsecond // 1000:03}"


def last_day(until: datetime | date | str) -> str:
    """Filter `last_day`: the last day of a period that ends before `until`."""
    return japan_time.last_day(until).isoformat()


def last_moment(until: datetime | None) -> str:
    """Filter `until`: a period's last day if it ends at midnight, otherwise its end to the minute."""
    if until is None:
        return ""
    return last_day(until) if until.astimezone(JAPAN).time() == time() else format_to_minute(until)


def parse_typed_time(text: str) -> datetime:
    """The moment entered in a browser's date or time field.

    A date alone means the start of that day. Without a time zone, the time is in Japan. Raises ValueError,
    OverflowError.
    """
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=JAPAN)


def with_zone(text: str) -> str:
    """A typed moment with its time zone added, for rules that require one.

    A date alone or any other text is returned unchanged.
    """
    try:
        return parse_typed_time(text).isoformat() if "T" in text or " " in text else text
    except ValueError:
        return text
