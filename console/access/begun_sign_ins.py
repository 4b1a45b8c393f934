"""Pending sign-ins at an OpenID provider.

Each sign-in is stored in a browser cookie that only this process can decrypt. An attacker who starts many sign-ins
therefore cannot displace those of other users.
"""

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import IdtoneError

LASTS_S: Final = 600.0
MOST_ENDED: Final = 10_000
"""Maximum number of states kept in memory for sign-ins that have ended.

Dropping the oldest states is safe because the provider accepts each code only once.
"""
_NONCE: Final = 12
_STATE: Final = 43
"""Length of a state in characters."""


class NotBegunError(IdtoneError):
    """A browser returned from the provider, but its sign-in did not start in this console."""


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """Secrets of one sign-in, which are needed when the browser returns from the provider."""

    began_s: float
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


class BegunSignIns:
    """All pending sign-ins. A restart discards them. Use only from the event loop."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._seal = AESGCM(AESGCM.generate_key(256))
        self._ended: dict[str, float] = {}
        """Maps each state to the time when its browser returned. Each state is accepted only once."""

    def begin(self) -> tuple[BegunSignIn, str]:
        """Begin a sign-in and return it with the cookie for its browser."""
        begun, nonce = BegunSignIn(self._clock_s()), secrets.token_bytes(_NONCE)
        sealed = self._seal.encrypt(nonce, json.dumps(asdict(begun)).encode(), None)
        return begun, urlsafe_b64encode(nonce + sealed).decode()

    def ended(self, cookie: str, state: str) -> BegunSignIn:
        """End the sign-in with this cookie and state, and return it.

        A state cannot be used again, even if the first call failed. Raises NotBegunError.
        """
        begun, now_s = self._opened(cookie), self._clock_s()
        self._ended = {each: at_s for each, at_s in self._ended.items() if now_s - at_s < LASTS_S}
        is_over = state in self._ended
        self._ended[state[:_STATE]] = now_s
        while len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        if begun is None:
            raise NotBegunError("this sign-in was not begun in this browser")
        if not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise NotBegunError("this is the answer to another sign-in")
        if is_over or now_s - begun.began_s >= LASTS_S:
            raise NotBegunError("this sign-in is over, or took too long")
        return begun

    def _opened(self, cookie: str) -> BegunSignIn | None:
        try:
            octets = urlsafe_b64decode(cookie.encode())
            return BegunSignIn(**json.loads(self._seal.decrypt(octets[:_NONCE], octets[_NONCE:], None)))
        except (ValueError, InvalidTag):
            return None
