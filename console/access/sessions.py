"""The sessions of signed-in persons, in memory: a restart of the console ends them.

The browser holds a random token in a cookie, this process its SHA-256.
"""

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
MOST_OF_USER: Final = 20
"""So does one of the same user, so that a user cannot end the sessions of others."""


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    name: str
    """The user's."""
    began_s: float
    used_s: float
    address: str
    """From which the user signed in; empty if it is not known."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """By which an administrator ends it. It opens nothing."""
    proof: bytes | None = field(default=None, repr=False)
    """Of the password with which it began; another password ends it. None until its first use."""
    is_ended: bool = False
    """By its user, an administrator or another password, before its time."""
    new_secret: tuple[str, float] | None = field(default=None, repr=False)
    """The secret of one-time codes that the user is about to take, and when it was made, on the monotonic clock."""
    new_passkey: tuple[bytes, str, float] | None = field(default=None, repr=False)
    """The challenge of a passkey that the user is about to make, its name, and when it was begun."""
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What each form of this session sends back, so that no other site can send it."""

    def belongs_to(self, password: str | None) -> bool:
        """True if the user's password hash is what it was when the session began."""
        now = _digest(password or "")
        if self.proof is None:
            self.proof = now
        return hmac.compare_digest(self.proof, now)

    def sent(self, token: str) -> bool:
        """True if a form of this session was sent."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """All sessions. Used by the event loop alone."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, name: str, address: str = "") -> tuple[str, Session]:
        """A new session and its token, which was never used before: a token from before the sign-in counts no more."""
        self._forget_old()
        self._make_room([digest for digest, each in self._by_digest.items() if each.name == name], MOST_OF_USER)
        self._make_room([*self._by_digest], MOST)
        token, now_s = secrets.token_urlsafe(32), self._clock_s()
        session = self._by_digest[_digest(token)] = Session(name, now_s, now_s, address)
        return token, session

    def _make_room(self, digests: list[bytes], most: int) -> None:
        if len(digests) >= most:
            self.end(min((self._by_digest[digest] for digest in digests), key=lambda each: each.used_s))

    def find(self, token: str) -> Session | None:
        """The session of a token, which this use prolongs; None if it is over."""
        self._forget_old()
        session = self._by_digest.get(_digest(token))
        if session:
            session.used_s = self._clock_s()
        return session

    def user_of(self, token: str) -> str | None:
        """The user of a token's session, which is not prolonged by that; None if it is the token of none."""
        session = self._by_digest.get(_digest(token))
        return session.name if session else None

    def is_open(self, session: Session) -> bool:
        """True if it may go on with what it has begun, as a stream that its user watches without a click. It is not
        prolonged by that.
        """
        return not session.is_ended and self._clock_s() - session.began_s < LASTS_S

    def end(self, session: Session) -> None:
        self._end(lambda each: each is session)

    def end_all_of(self, name: str) -> None:
        self._end(lambda each: each.name == name)

    def _end(self, over: Callable[[Session], bool]) -> None:
        for digest, session in [*self._by_digest.items()]:
            if over(session):
                session.is_ended = True
                del self._by_digest[digest]

    def of(self, name: str) -> list[Session]:
        """This user's."""
        return [session for session in self.all() if session.name == name]

    def all(self) -> list[Session]:
        self._forget_old()
        return list(self._by_digest.values())

    def ages_s(self, session: Session) -> tuple[float, float]:
        """The seconds since the session began, and since its last use."""
        now_s = self._clock_s()
        return now_s - session.began_s, now_s - session.used_s

    def _forget_old(self) -> None:
        now_s = self._clock_s()
        self._by_digest = {
            digest: session
            for digest, session in self._by_digest.items()
            if now_s - session.used_s < IDLE_S and now_s - session.began_s < LASTS_S
        }


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
