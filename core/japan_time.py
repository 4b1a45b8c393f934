"""Japan Standard Time and Japanese conventions for the end of a period."""

from datetime import date, datetime, time, timedelta, timezone
from typing import Final

JAPAN: Final = timezone(timedelta(hours=9), "JST")


def last_day(until: datetime | date | str) -> date:
    """Last day of a period that ends before `until`. Raises ValueError for malformed text."""
    if isinstance(until, str):
        until = datetime.fromisoformat(until) if "T" in until else date.fromisoformat(until)
    if isinstance(until, datetime):
        return (until - timedelta(microseconds=1)).astimezone(JAPAN).date()
    return until - timedelta(days=1)


def end_words(until: datetime | str) -> str:
    """End of a period as people write it after "until".

    Returns the last day if the period ends at midnight in Japan; otherwise, the time in ISO 8601. Raises ValueError for
    malformed text.
    """
    at = datetime.fromisoformat(until) if isinstance(until, str) else until
    return last_day(at).isoformat() if at.astimezone(JAPAN).time() == time() else at.isoformat()
