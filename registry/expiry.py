"""Says in the log, before and when, that the registry expires: nothing else goes wrong until then."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from .index import RegistryIndex
from .model import JAPAN

_log = logging.getLogger(__name__)

SOON: Final = timedelta(days=1)
"""Roles are signed anew well before; of a registry that has so little left no newer one has come."""
AGAIN: Final = timedelta(hours=1)
"""How often what has not changed is said again."""


class Expiry:
    """What was said of the registry that is in use. `stale` is how long its licences count beyond its expiry."""

    def __init__(self, stale: timedelta) -> None:
        self._stale = stale
        self._told: tuple[str, datetime] | None = None

    def review(self, registry: RegistryIndex | None, now: datetime) -> None:
        """Log what there is to say, once an hour until it is something else."""
        text = self._text(registry, now) if registry else ""
        if not text:
            self._told = None
        elif self._told is None or self._told[0] != text or now - self._told[1] >= AGAIN:
            self._told = text, now
            _log.error("%s", text)

    def _text(self, registry: RegistryIndex, now: datetime) -> str:
        left, what = registry.expires - now, f"registry version {registry.version}"
        if left > SOON:
            return ""
        at = registry.expires.astimezone(JAPAN).isoformat()
        if left > timedelta(0):
            return f"{what} expires at {at}, and no newer one has come: see that the association publishes one"
        if -left < self._stale:
            until = (registry.expires + self._stale).astimezone(JAPAN).isoformat()
            return (
                f"{what} HAS EXPIRED at {at}; its licences count until {until}: see that the association publishes one"
            )
        return (
            f"{what} HAS EXPIRED at {at}, and no licence counts any more: calls get what the policy says without one, "
            "until a newer registry comes; see that the association publishes one"
        )
