"""Recently ended calls, kept to reject repeated requests and to accept late reports from phones."""

from datetime import datetime
from typing import Final

from idtone.core.calls import Delivery, Party

from .call import Call

LATE_REPORTS: Final = 1_000
"""Maximum number of ended calls that may wait for a report from the called party's phone, which arrives within
milliseconds.
"""
CLOSED_KEPT: Final = 100_000
"""Maximum number of ended calls' ids in memory. For older calls, the ledger is asked."""


class EndedCalls:
    """Ended calls, so that no call is decided twice, and calls whose phone may still report on the sound.

    The ids in memory go back to `since`.
    """

    def __init__(self, since: datetime) -> None:
        self._closed: dict[str, datetime] = {}
        """When this process saw the end, by call."""
        self._forgotten = since
        """The time before which ended calls may be missing from `_closed`."""
        self._reporting: dict[str, Call] = {}

    def add(self, call: Call, at: datetime) -> None:
        """Add a call that ended at the given time."""
        self.await_report(call)
        self._closed[call.id] = at
        if len(self._closed) > CLOSED_KEPT:
            self._forgotten = self._closed.pop(next(iter(self._closed)))

    def await_report(self, *calls: Call) -> None:
        """Allow one report for each of the calls whose called party was sent a sound."""
        for call in calls:
            if call.delivery.get(Party.CALLED) is Delivery.SENT:
                self._reporting[call.id] = call
                if len(self._reporting) > LATE_REPORTS:
                    self._reporting.pop(next(iter(self._reporting)))

    def take_reporting(self, call_id: str) -> Call | None:
        """Claim a call for its phone's report. Each call can be claimed only once."""
        return self._reporting.pop(call_id, None)

    def has_seen(self, call_id: str) -> bool:
        """True if this process saw the end of the call."""
        return call_id in self._closed

    def may_have_forgotten(self, call_id: str) -> bool:
        """True if only the ledger knows whether the call has ended, because its channel may be older than the ids."""
        return call_id not in self._closed and _is_older(call_id, self._forgotten)


def _is_older(call_id: str, since: datetime) -> bool:
    """True if the channel was created before `since` or the call id contains no time."""
    seconds = call_id.rpartition(".")[0].rpartition("-")[2]
    return not seconds.isdecimal() or int(seconds) <= since.timestamp()
