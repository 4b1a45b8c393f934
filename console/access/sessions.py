"""The sessions of signed-in persons, in memory: a restart of the console ends them.

The browser holds a random token in a cookie, this process its SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

IDLE_S: Final = 30 * 60.0
"""A session ends when it was not used for this long."""
LASTS_S: Final = 12 * 3600.0
"""A session ends this long after the sign-in."""
MOST: Final = 1000
"""Sessions at a time; the one that was not used for the longest time makes room."""


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    name: str
    """The user's."""
    began_s: float
    used_s: float
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What each form of this session sends back, so that no other site can send it."""

    def sent(self, token: str) -> bool:
        """Whether a form of this session was sent."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """All sessions. Used by the event loop alone."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, name: str) -> tuple[str, Session]:
        """A new session and its token, which was never used before: a token from before the sign-in counts no more."""
        self._forget_old()
        while len(self._by_digest) >= MOST:
            del self._by_digest[min(self._by_digest, key=lambda digest: self._by_digest[digest].used_s)]
        token, now_s = secrets.token_urlsafe(32), self._clock_s()
        session = self._by_digest[_digest(token)] = Session(name, now_s, now_s)
        return token, session

    def find(self, token: str) -> Session | None:
        """The session of a token, which this use prolongs; None if it is over."""
        self._forget_old()
        session = self._by_digest.get(_digest(token))
        if session:
            session.used_s = self._clock_s()
        return session

    def end(self, session: Session) -> None:
        self._by_digest = {digest: each for digest, each in self._by_digest.items() if each is not session}

    def end_all_of(self, name: str) -> None:
        self._by_digest = {digest: each for digest, each in self._by_digest.items() if each.name != name}

    def all(self) -> list[Session]:
        self._forget_old()
        return list(self._by_digest.values())

    def _forget_old(self) -> None:
        now_s = self._clock_s()
        self._by_digest = {
            digest: session
            for digest, session in self._by_digest.items()
            if now_s - session.used_s < IDLE_S and now_s - session.began_s < LASTS_S
        }


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
