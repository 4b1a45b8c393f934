"""The day of a test that acts today."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Final

from idtone.core.japan import JAPAN

LASTS: Final = timedelta(minutes=1)


def today() -> date:
    """Today in Japan, which lasts for a minute at least: shortly before midnight this waits for the next day. A test
    asks for it, not the file that has the test, whose run may go on after midnight.
    """
    while (datetime.now(UTC) + LASTS).astimezone(JAPAN).date() != (day := datetime.now(UTC).astimezone(JAPAN).date()):
        time.sleep(1)
    return day
