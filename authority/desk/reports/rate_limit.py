"""How many requests of the public page are served. Addresses are held in memory for an hour, and never written."""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import Final

_HOUR_S: Final = 3600.0
_EVERYONE: Final = ""


class RateLimit:
    """At most so many requests an hour, of everyone and of each address."""

    def __init__(self, hourly: int, hourly_each: int) -> None:
        self._hourly, self._hourly_each = hourly, hourly_each
        self._served: dict[str, deque[float]] = {}
        """At most `hourly` addresses."""

    def admits(self, address: str, now_s: float) -> bool:
        """Whether to serve a request of this IP address now; it counts if it is served. `now_s` never decreases."""
        for who in [who for who, times in self._served.items() if times[-1] <= now_s - _HOUR_S]:
            del self._served[who]
        everyone, one = self._of(_EVERYONE, now_s), self._of(_network(address), now_s)
        if len(everyone) >= self._hourly or len(one) >= self._hourly_each:
            return False
        for who, times in ((_EVERYONE, everyone), (_network(address), one)):
            times.append(now_s)
            self._served[who] = times
        return True

    def _of(self, who: str, now_s: float) -> deque[float]:
        """The times of the last hour."""
        times = self._served.get(who, deque())
        while times and times[0] <= now_s - _HOUR_S:
            times.popleft()
        return times


def _network(address: str) -> str:
    """An IPv4 address, or the network (/64) of an IPv6 address, in which one visitor has all addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
