"""The clock of the commands."""

from datetime import UTC, date, datetime

from idtone.core.japan_time import JAPAN


def now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """The present day in Japan."""
    return now().astimezone(JAPAN).date()
