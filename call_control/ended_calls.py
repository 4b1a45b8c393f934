"""The calls that ended most recently."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from idtone.core.calls import Delivery, Party

from .call import Call

LATE_REPORTS: Final = 1_000
"""Maximum number of ended calls that may wait for the report of the called party's phone, which comes within
milliseconds.
"""
CLOSED_KEPT: Final = 100_000
"""Maximum number of ids of ended calls in memory. For older calls the ledger is asked."""


class EndedCalls:
    """The ended calls, so that none is decided again, and the calls whose phone may still report the sound.

    `recorded` returns True if the ledger knows a call. It is called only for channels that may be older than the ids in
    memory, which begin at `since`.
    """

    def __init__(self, since: datetime, recorded: Callable[[str], bool]) -> None:
        self._recorded = recorded
        self._closed: dict[str, datetime] = {}
        """The time at which this process saw the end, by call."""
        self._forgotten = since
        """The time before which ended calls may be missing in `_closed`."""
        self._reporting: dict[str, Call] = {}

    def add(self, call: Call, at: datetime) -> None:
        """Add a call whose end this process saw at this time."""
        self.await_report(call)
        self._closed[call.id] = at
        if len(self._closed) > CLOSED_KEPT:
            self._forgotten = self._closed.pop(next(iter(self._closed)))

    def await_report(self, *calls: Call) -> None:
        """Allow each of these calls one report, if its called party was sent a sound."""
        for call in calls:
            if call.delivery.get(Party.CALLED) is Delivery.SENT:
                self._reporting[call.id] = call
                if len(self._reporting) > LATE_REPORTS:
                    self._reporting.pop(next(iter(self._reporting)))

    def take_reporting(self, call_id: str) -> Call | None:
        """The call whose report comes now; each call may report once."""
        return self._reporting.pop(call_id, None)

    def has_seen(self, call_id: str) -> bool:
        """True if this process saw the end of the call."""
        return call_id in self._closed

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._closed or (_is_older(call_id, self._forgotten) and self._recorded(call_id))


def _is_older(call_id: str, since: datetime) -> bool:
    """True if the channel of this call was made before `since`, or if the id contains no time."""
    seconds = call_id.rpartition(".")[0].rpartition("-")[2]
    return not seconds.isdecimal() or int(seconds) <= since.timestamp()
