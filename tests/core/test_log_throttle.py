"""Each message is logged at once, and its repetitions are logged as one line."""

import asyncio
import logging

from idtone.core.log_throttle import MOST_MESSAGES, LogThrottle

log = logging.getLogger("test")


async def test_a_flood_gives_two_lines(caplog):
    throttle = LogThrottle(log, "closed", window_s=0.05)
    for _ in range(5000):
        throttle.warning("too slow")
    throttle.warning("too long")
    assert caplog.messages == ["closed: too slow", "closed: too long"]
    await asyncio.sleep(0.1)
    assert caplog.messages[2:] == ["closed: too slow (4999 times more within 0.05 s)"]
    throttle.warning("too slow")
    assert caplog.messages[3:] == ["closed: too slow"], "a new window begins"
    throttle.flush()
    throttle.flush()
    assert len(caplog.messages) == 4


async def test_many_reasons_give_few_lines(caplog):
    throttle = LogThrottle(log, "closed")
    for number in range(100):
        throttle.warning(f"reason {number}")
    assert len(caplog.messages) == MOST_MESSAGES + 1
    throttle.flush()
    assert caplog.messages[-1] == f"closed: for further reasons ({99 - MOST_MESSAGES} times more within 10 s)"
