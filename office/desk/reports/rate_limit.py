"""Limits requests to the desk's public pages without storing addresses on disk.

Addresses stay in memory for an hour.
"""

import ipaddress
from collections import deque
from typing import Final

from idtone.core.http.visitor_network import network_of

_HOUR_S: Final = 3600.0
_EVERYONE: Final = ""
_SITE: Final = 48
"""Prefix length of a company's IPv6 network, or of a provider's region."""
_OF_SITE: Final = 6
"""Divisor of the total limit that yields a site's limit, which is never lower than a customer's limit."""
_RESERVE: Final = 4
"""Divisor of the total limit that yields the reserve for networks without a request in the last hour."""


class RateLimit:
    """Limits on requests per hour: for all visitors combined, per site and per customer network."""

    def __init__(self, hourly: int, hourly_each: int) -> None:
        self._hourly, self._hourly_each = hourly, hourly_each
        self._served: dict[str, deque[float]] = {}
        """Network → times of its requests; at most two entries for each of `hourly` requests."""

    def admits(self, address: str, now_s: float) -> bool:
        """True if a request from this IP address may be served now. The request then counts.

        `now_s` is a time in seconds that never decreases.
        """
        for who in [who for who, times in self._served.items() if times[-1] <= now_s - _HOUR_S]:
            del self._served[who]
        counted = [(who, self._of(who, now_s)) for who in (_EVERYONE, *_networks(address))]
        _, own = counted[1]
        most = self._hourly - self._hourly // _RESERVE if own else self._hourly
        limits = (most, self._hourly_each, max(self._hourly_each, self._hourly // _OF_SITE))
        if any(len(times) >= limit for (_, times), limit in zip(counted, limits, strict=False)):
            return False
        for who, times in counted:
            times.append(now_s)
            self._served[who] = times
        return True

    def give_back(self, address: str) -> None:
        """Uncount an address's last request because it had no effect."""
        for who in (_EVERYONE, *_networks(address)):
            if times := self._served.get(who):
                times.pop()
                if not times:
                    del self._served[who]

    def _of(self, who: str, now_s: float) -> deque[float]:
        times = self._served.get(who, deque())
        while times and times[0] <= now_s - _HOUR_S:
            times.popleft()
        return times


def _networks(address: str) -> list[str]:
    customer = network_of(address)
    if "/" not in customer:
        return [customer or "unknown"]
    return [customer, str(ipaddress.ip_network(customer).supernet(new_prefix=_SITE))]
