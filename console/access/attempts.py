"""Limits on sign-in attempts.

An attacker who tries a user's name must not lock out that user. Attempts from a known browser (see `known_browser`) are
therefore counted for that browser alone. All other attempts are counted for the name and for the network.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.http.visitor_network import network_of

WITHIN_S: Final = 15 * 60.0
MOST_OF_NAME: Final = 5
"""Maximum number of failures of a name from all unknown browsers together, and from each known browser."""
MOST_OF_ADDRESS: Final = 20
MOST_KEPT: Final = 10_000
"""Maximum number of names, browsers and networks in memory. The oldest entries are dropped."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to sign in.

    `browser` identifies a known browser. `browser` and `address` may be empty. An attempt with a passkey has no name.
    Its failures count only for the network, and not at all if the address is unknown. A passkey cannot be guessed, so
    its failures need not lock out other visitors.
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
    """Recent failures of names, browsers and networks.

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
        """Number of recent failures of the attempt's network."""
        return self._recent(f"address {network_of(attempt.address)}")

    def withdrawn(self, attempt: Attempt) -> None:
        """Remove the failure counted for an attempt whose password was never compared."""
        for key, _ in attempt.limits:
            if times := self._failures.get(key):
                times.pop()

    def succeeded(self, attempt: Attempt) -> None:
        """Reset the failures of the name or browser, and remove this attempt's failure from the network.

        For a passkey, reset the passkey failures of the network.
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
