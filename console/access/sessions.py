"""The sessions of signed-in persons, in memory: a restart of the console ends them.

The browser stores a random token in a cookie; this process stores only the token's SHA-256.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

IDLE_S: Final = 30 * 60.0
"""Time without use after which a session ends, in seconds."""
LASTS_S: Final = 12 * 3600.0
"""Time after the sign-in at which a session ends, in seconds."""
MOST: Final = 1000
"""Maximum number of sessions. A new one replaces the session that was unused for the longest time."""
MOST_OF_USER: Final = 20
"""Maximum number of sessions of one user. A new one replaces a session of the same user, so a user cannot end the
sessions of others.
"""


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    name: str
    """The user's name."""
    began_s: float
    used_s: float
    address: str
    """The IP address of the sign-in; empty if it is not known."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """The id by which an administrator ends the session. It gives no access."""
    proof: bytes | None = field(default=None, repr=False)
    """Digest of the password hash when the session was first used; None before that. If the password is changed, the
    session ends.
    """
    is_ended: bool = False
    """True if the session was ended early: by its user, by an administrator, or by a change of the password."""
    new_secret: tuple[str, float] | None = field(default=None, repr=False)
    """The secret of one-time codes that the user is about to confirm, and the time at which it was made (monotonic
    clock).
    """
    new_passkey: tuple[bytes, str, float] | None = field(default=None, repr=False)
    """The challenge of a passkey that the user is about to create, its name, and its time."""
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """The token in each form of this session, so that no other site can send the form."""

    def belongs_to(self, password: str | None) -> bool:
        """True if the user's password hash has not changed since the session began."""
        now = _digest(password or "")
        if self.proof is None:
            self.proof = now
        return hmac.compare_digest(self.proof, now)

    def has_form_token(self, token: str) -> bool:
        """True if the token belongs to this session's forms."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """All sessions. Used by the event loop alone."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, name: str, address: str = "") -> tuple[str, Session]:
        """Begin a session with a new token; returns the token and the session. If there are too many sessions, the
        least recently used one ends.
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
        """The session of a token; this use prolongs it. None if the session is over."""
        self._forget_old()
        session = self._by_digest.get(_digest(token))
        if session:
            session.used_s = self._clock_s()
        return session

    def user_of(self, token: str) -> str | None:
        """The user of a token's session; None if there is no such session. This does not prolong the session."""
        session = self._by_digest.get(_digest(token))
        return session.name if session else None

    def is_open(self, session: Session) -> bool:
        """True if the session is still valid for a request in progress, such as a stream that the user only watches.
        This does not prolong the session.
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
        """Seconds since the session began, and since its last use."""
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
