"""The current time for the commands, in UTC and as a date in Japan."""

from datetime import UTC, date, datetime

from idtone.core.japan_time import JAPAN


def now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """The current date in Japan."""
    return now().astimezone(JAPAN).date()
