"""Japan Standard Time, and the Japanese way to name the end of a period."""

from datetime import date, datetime, time, timedelta, timezone
from typing import Final

JAPAN: Final = timezone(timedelta(hours=9), "JST")


def last_day(until: datetime | date | str) -> date:
    """The last day of a period that ends before `until`, a moment or a day. Raises ValueError for a malformed text."""
    if isinstance(until, str):
        until = datetime.fromisoformat(until) if "T" in until else date.fromisoformat(until)
    if isinstance(until, datetime):
        return (until - timedelta(microseconds=1)).astimezone(JAPAN).date()
    return until - timedelta(days=1)


def end_words(until: datetime | str) -> str:
    """The end of a period as people write it after "until": the last day if the period ends with a day in Japan, else
    the moment in ISO 8601. Raises ValueError for a malformed text.
    """
    at = datetime.fromisoformat(until) if isinstance(until, str) else until
    return last_day(at).isoformat() if at.astimezone(JAPAN).time() == time() else at.isoformat()
