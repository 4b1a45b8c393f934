"""Logs that the registry will expire soon, or has expired: before the expiry, calls do not show it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from .index import RegistryIndex
from .model import JAPAN

_log = logging.getLogger(__name__)

SOON: Final = timedelta(days=1)
"""The association signs well before the expiry; with so little time left, a newer version is missing."""
AGAIN: Final = timedelta(hours=1)
"""The interval at which an unchanged message is repeated."""


class Expiry:
    """Logs the expiry of the current registry. `stale` is how long its licences stay valid after the expiry."""

    def __init__(self, stale: timedelta) -> None:
        self._stale = stale
        self._logged: tuple[str, datetime] | None = None

    def review(self, registry: RegistryIndex | None, now: datetime) -> None:
        """Log the expiry once an hour, and at once when the message changes."""
        text = self._text(registry, now) if registry else ""
        if not text:
            self._logged = None
        elif self._logged is None or self._logged[0] != text or now - self._logged[1] >= AGAIN:
            self._logged = text, now
            _log.error("%s", text)

    def _text(self, registry: RegistryIndex, now: datetime) -> str:
        left, what = registry.expires - now, f"registry version {registry.version}"
        if left > SOON:
            return ""
        at = registry.expires.astimezone(JAPAN).isoformat()
        if left > timedelta(0):
            return f"{what} expires at {at}, and there is no newer version: ask the association to publish one"
        if -left < self._stale:
            until = (registry.expires + self._stale).astimezone(JAPAN).isoformat()
            return (
                f"{what} HAS EXPIRED at {at}; its licences stay valid until {until}: "
                "ask the association to publish a newer one"
            )
        return (
            f"{what} HAS EXPIRED at {at}, and no licence is valid any more: the policy for unlicensed numbers "
            "applies to all calls until a newer registry comes; ask the association to publish one"
        )
