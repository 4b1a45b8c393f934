"""The date for a test that uses today's date."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Final

from idtone.core.japan_time import JAPAN

LASTS: Final = timedelta(minutes=1)


def today() -> date:
    """Today's date in Japan, which remains valid for at least a minute.

    Shortly before midnight, this waits for the next day. Call it in a test and not at import, because the run may
    continue after midnight.
    """
    while (datetime.now(UTC) + LASTS).astimezone(JAPAN).date() != (day := datetime.now(UTC).astimezone(JAPAN).date()):
        time.sleep(1)
    return day
