"""Log lines for finished calls, written together once a second.

Writing single lines while serving calls takes several times as much processor time, because the code and data are no
longer in the cache.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from idtone.core.calls import Decision, Delivery, Party
from idtone.core.log_output import call_extra

EVERY_S: Final = 1.0
AT_ONCE: Final = 100
"""Maximum number of lines to write without a pause, which takes some milliseconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OverCall:
    """An ended call, for the log.

    `decision` is None if the call ended before a decision. `seconds` is the time since the decision.
    """

    call_id: str
    decision: Decision | None
    status: str
    delivery: Mapping[Party, Delivery]
    seconds: float


def _in_words(delivery: Mapping[Party, Delivery]) -> str:
    return ", ".join(f"sound for {party}: {word}" for party, word in sorted(delivery.items())) or "no sound"


class CallLog:
    """Finished calls whose log line has not been written yet. Use it in a single event loop."""

    def __init__(self) -> None:
        self._over: list[OverCall] = []

    def add(self, call: OverCall) -> None:
        self._over.append(call)

    def write(self, limit: int | None = None) -> None:
        """Write the log lines of all finished calls, or of the first `limit`."""
        over, self._over = self._over[:limit], self._over[limit:] if limit else []
        for call in over:
            decision = call.decision
            _log.info(
                "%s: %s, %s, %s, %.1f s",
                call.call_id,
                f"{decision.outcome} ({decision.reason})" if decision else "no decision",
                call.status,
                _in_words(call.delivery),
                call.seconds,
                extra=call_extra(call.call_id, decision.reason if decision else None),
            )

    async def run(self) -> None:
        """Write the log lines continuously until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            while self._over:
                self.write(AT_ONCE)
                await asyncio.sleep(0)
