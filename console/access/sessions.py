"""Sessions of signed-in users. They are kept in memory and end when the console restarts.

The browser stores a random token in a cookie. The console stores only its SHA-256.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

IDLE_S: Final = 30 * 60.0
"""Idle timeout of a session, in seconds."""
LASTS_S: Final = 12 * 3600.0
"""Maximum lifetime of a session, in seconds."""
MOST: Final = 1000
"""Maximum number of sessions. A new session replaces the least recently used one."""
MOST_OF_USER: Final = 20
"""Maximum number of sessions per user.

Beyond this limit, a new session replaces one of the same user's, so no user can push out another user's sessions.
"""


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    name: str
    """The user's name."""
    began_s: float
    used_s: float
    address: str
    """IP address at sign-in, or an empty string if unknown."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Id that lets an administrator end the session. It grants no access."""
    proof: bytes | None = field(default=None, repr=False)
    """Digest of the password hash at the time of first use, or None before that.

    Changing the password ends the session.
    """
    is_ended: bool = False
    """True if the session was ended early by its user, an administrator or a password change."""
    new_secret: tuple[str, float] | None = field(default=None, repr=False)
    """Unconfirmed new secret for one-time codes and its creation time (monotonic clock)."""
    new_passkey: tuple[bytes, str, float] | None = field(default=None, repr=False)
    """Challenge and name of a passkey about to be created, and their creation time (monotonic clock)."""
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Token included in every form of this session, so that other sites cannot submit one."""

    def belongs_to(self, password: str | None) -> bool:
        """True if the user's password hash is the same as when this method was first called for the session."""
        now = _digest(password or "")
        if self.proof is None:
            self.proof = now
        return hmac.compare_digest(self.proof, now)

    def has_form_token(self, token: str) -> bool:
        """True if this is the token in the session's forms."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """All sessions. Use only from the event loop."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, name: str, address: str = "") -> tuple[str, Session]:
        """Begin a session and return its new token and the session.

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
        """Find the session with this token and extend it. Returns None if the session is over."""
        self._forget_old()
        session = self._by_digest.get(_digest(token))
        if session:
            session.used_s = self._clock_s()
        return session

    def user_of(self, token: str) -> str | None:
        """The user whose session has this token, or None. Does not extend the session."""
        session = self._by_digest.get(_digest(token))
        return session.name if session else None

    def is_open(self, session: Session) -> bool:
        """True if the session is still valid for a request in progress, such as a stream of live updates.

        Does not extend the session.
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
        """Seconds since the session began and since it was last used."""
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
