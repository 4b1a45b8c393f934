"""Evidence packs that this console created.

Packs stay in memory for an hour, so that a failed download can be retried. They are never written to disk.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 3600.0
MOST: Final = 10
"""Maximum number of packs in the cache. A new pack replaces the oldest."""


@dataclass(frozen=True, slots=True)
class KeptPack:
    """A pack's file, which only the user who created it can download."""

    user: str
    octets: bytes
    until_s: float


class PackCache:
    """Packs created in the last hour, by disclosure act. Use only from the event loop."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._kept: dict[str, KeptPack] = {}

    def keep(self, act: str, user: str, octets: bytes) -> None:
        self._forget_old()
        while len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[act] = KeptPack(user, octets, self._clock_s() + KEPT_S)

    def get(self, act: str, user: str) -> bytes | None:
        """The pack, or None unless this user created it in the last hour."""
        self._forget_old()
        kept = self._kept.get(act)
        return kept.octets if kept and kept.user == user else None

    def _forget_old(self) -> None:
        now_s = self._clock_s()
        self._kept = {act: kept for act, kept in self._kept.items() if kept.until_s > now_s}
