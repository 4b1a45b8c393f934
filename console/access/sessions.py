"""Sessions of signed-in users, kept in memory. A restart of the console ends them.

The browser stores a random token in a cookie. This process stores only the token's SHA-256.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

IDLE_S: Final = 30 * 60.0
"""Idle time after which a session ends, in seconds."""
LASTS_S: Final = 12 * 3600.0
"""Maximum duration of a session, in seconds."""
MOST: Final = 1000
"""Maximum number of sessions. A new session replaces the least recently used one."""
MOST_OF_USER: Final = 20
"""Maximum number of sessions of one user.

A new session replaces a session of the same user, so a user cannot end other users' sessions.
"""


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    name: str
    """The user's name."""
    began_s: float
    used_s: float
    address: str
    """IP address of the sign-in, or an empty string if it is unknown."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Id by which an administrator ends the session. It gives no access."""
    proof: bytes | None = field(default=None, repr=False)
    """Digest of the password hash when the session was first used, or None before the first use.

    A change of the password ends the session.
    """
    is_ended: bool = False
    """True if the session was ended early: by its user, by an administrator, or by a password change."""
    new_secret: tuple[str, float] | None = field(default=None, repr=False)
    """New secret for one-time codes that the user has not confirmed yet, and its creation time (monotonic clock)."""
    new_passkey: tuple[bytes, str, float] | None = field(default=None, repr=False)
    """Challenge and name of a passkey that the user is about to create, and the creation time (monotonic clock)."""
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Token in each form of this session, which prevents other sites from sending the form."""

    def belongs_to(self, password: str | None) -> bool:
        """True if the user's password hash has not changed since this method was first called for the session."""
        now = _digest(password or "")
        if self.proof is None:
            self.proof = now
        return hmac.compare_digest(self.proof, now)

    def has_form_token(self, token: str) -> bool:
        """True if the token is the one in this session's forms."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """All sessions. Use only from the event loop."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, name: str, address: str = "") -> tuple[str, Session]:
        """Begin a session. Returns its new token and the session.

        If there are too many sessions, the least recently used one ends.
        """
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
        """The session of a token, or None if the session is over. This call extends the session."""
        self._forget_old()
        session = self._by_digest.get(_digest(token))
        if session:
            session.used_s = self._clock_s()
        return session

    def user_of(self, token: str) -> str | None:
        """The user of a token's session, or None if there is no such session. The session is not extended."""
        session = self._by_digest.get(_digest(token))
        return session.name if session else None

    def is_open(self, session: Session) -> bool:
        """True if the session is still valid for a request in progress, such as a stream of live updates.

        The session is not extended.
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
        """The sessions of this user."""
        return [session for session in self.all() if session.name == name]

    def all(self) -> list[Session]:
        self._forget_old()
        return list(self._by_digest.values())

    def ages_s(self, session: Session) -> tuple[float, float]:
        """Seconds since the start of the session and since its last use."""
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
