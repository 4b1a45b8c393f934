"""Logs sign-ins, sign-outs and failed attempts, and counts failures for the administrators' page."""

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from .users import Administered

DAY: Final = timedelta(days=1)
MOST: Final = 10_000
"""Maximum number of failures kept in memory. The oldest are dropped."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed sign-in."""

    at: datetime
    name: str | None
    """The user's name, or None if there is no such user.

    Unknown names are not kept, because they may be passwords typed into the wrong field.
    """
    address: str


class SignInLog:
    """Logs sign-ins and keeps the latest failures in memory until the console restarts.

    Use only from the event loop.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.began = now()
        self._failures: deque[Failure] = deque(maxlen=MOST)

    def signed_in(self, name: str, address: str) -> None:
        _log.info("%s signed in from %s", name, address or "an unknown address")

    def signed_out(self, name: str, address: str) -> None:
        _log.info("%s signed out, from %s", name, address or "an unknown address")

    def changed(self, name: str, what: str, address: str) -> None:
        """Log that a user changed a password or another credential, which `what` names."""
        _log.warning("%s changed the %s, from %s", name, what, address or "an unknown address")

    def administered(self, name: str, by: str, what: str, address: str) -> None:
        """Log that an administrator changed a user. `what` is a verb."""
        _log.warning("%s %s the user %s, from %s", by, what, name, address or "an unknown address")

    def second_approval(self, name: str, administered: Administered) -> None:
        """Log that a second person approved whose account an administrator had created or changed.

        The administrator may be that second person.
        """
        _log.warning(
            "%s has approved as a second person; %s made or reset the account, or changed its roles, last on %s",
            name,
            administered.by,
            administered.at.isoformat(timespec="minutes"),
        )

    def ended(self, name: str, by: str) -> None:
        _log.warning("%s ended a session of %s", by, name)

    def failed(self, name: str | None, address: str, why: str = "") -> None:
        """Record a failed attempt. `name` is an existing user or None, and `why` goes into the log."""
        self._failures.append(Failure(self._now(), name, address))
        _log.warning(
            "a sign-in failed: %s, from %s%s",
            name or "an unknown name",
            address or "an unknown address",
            why and f": {why}",
        )

    def of_last_day(self) -> list[Failure]:
        earliest = self._now() - DAY
        return [each for each in self._failures if each.at >= earliest]


def count_failures(failures: list[Failure]) -> list[tuple[str | None, str, int]]:
    """Failures as rows of user (None if unknown), address and count, highest count first."""
    counts = Counter((each.name, each.address) for each in failures)
    return [(*who, number) for who, number in counts.most_common()]
