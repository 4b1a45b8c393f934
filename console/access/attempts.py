"""Limits on sign-in attempts.

Attackers must not be able to lock out a user by trying that user's name. Attempts from a known browser (see
`known_browser`) are therefore counted only against that browser. All other attempts count against both the name and the
network.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.http.visitor_network import network_of

WITHIN_S: Final = 15 * 60.0
MOST_OF_NAME: Final = 5
"""Maximum number of failures per name: one limit for all unknown browsers together, and one for each known browser."""
MOST_OF_ADDRESS: Final = 20
MOST_KEPT: Final = 10_000
"""Maximum number of names, browsers and networks kept in memory. The oldest entries are dropped."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in attempt.

    `browser` identifies a known browser. `browser` and `address` may be empty. A passkey attempt has no name. Its
    failures count only against the network, or not at all if the address is unknown. Passkeys cannot be guessed, so
    failed passkey attempts need not lock out other visitors.
    """

    name: str
    address: str
    browser: str = ""
    is_passkey: bool = False

    @property
    def limits(self) -> Sequence[tuple[str, int]]:
        if self.is_passkey:
            return ((f"passkeys {network_of(self.address)}", MOST_OF_ADDRESS),) if self.address else ()
        if self.browser:
            return ((f"browser {self.name} {self.browser}", MOST_OF_NAME),)
        of_name = (f"name {self.name}", MOST_OF_NAME)
        return (of_name, (f"address {network_of(self.address)}", MOST_OF_ADDRESS)) if self.address else (of_name,)


class Attempts:
    """Recent failed attempts by name, browser and network.

    Each attempt counts as a failure until it succeeds, so sending many attempts at once gains nothing. Use only
    from the event loop.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._failures: dict[str, deque[float]] = {}

    def begins(self, attempt: Attempt) -> bool:
        """True if the attempt is allowed. An allowed attempt counts as a failure until it succeeds."""
        if any(self._recent(key) >= most for key, most in attempt.limits):
            return False
        for key, most in attempt.limits:
            self._failures.setdefault(key, deque(maxlen=most)).append(self._clock_s())
        while len(self._failures) > MOST_KEPT:
            del self._failures[next(iter(self._failures))]
        return True

    def failures_of_network(self, attempt: Attempt) -> int:
        """Number of recent failures from the attempt's network."""
        return self._recent(f"address {network_of(attempt.address)}")

    def withdrawn(self, attempt: Attempt) -> None:
        """Remove the failure counted for an attempt whose password was never compared."""
        for key, _ in attempt.limits:
            if times := self._failures.get(key):
                times.pop()

    def succeeded(self, attempt: Attempt) -> None:
        """Clear the failures of the name or browser, and withdraw this attempt's failure from the network.

        For a passkey, clear the network's passkey failures.
        """
        keys = [key for key, _ in attempt.limits]
        for key in keys[:1]:
            self._failures.pop(key, None)
        for key in keys[1:]:
            if times := self._failures.get(key):
                times.pop()

    def _recent(self, key: str) -> int:
        times = self._failures.get(key, ())
        return sum(self._clock_s() - time_s < WITHIN_S for time_s in times)
