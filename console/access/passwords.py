"""Sign-in by a password (argon2id) and a one-time code (TOTP, RFC 6238)."""

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from .users import User

STEP_S: Final = 30
"""How long a one-time code lasts. The one before and the one after count too."""
DIGITS: Final = 6
PASSWORD_LIMIT: Final = 1000

_hasher = PasswordHasher()


@cache
def _unknown_users_hash() -> str:
    """Compared with for an unknown name, which then takes as long as a known one."""
    return _hasher.hash("unknown")


def hashed(password: str) -> str:
    """Takes some tens of milliseconds and 64 MiB on purpose, as `is_password` does."""
    return _hasher.hash(password)


def is_password(entered: str, expected: str) -> bool:
    """True if it is the password of this hash. Raises MemoryError if that cannot be said."""
    try:
        return _hasher.verify(expected, entered if len(entered) <= PASSWORD_LIMIT else "")
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:  # no memory or no thread, which says nothing of the password
        raise MemoryError from error


def new_password() -> str:
    """A password of 80 random bits, as an administrator can read it out on the telephone."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def new_secret() -> str:
    """A secret of one-time codes (base32), of 160 random bits."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def provisioning(name: str, secret: str) -> str:
    """The address (otpauth:) that an app for one-time codes reads."""
    return one_time_codes(secret).get_provisioning_uri(name, "idtone")


def one_time_codes(secret: str) -> TOTP:
    """The generator of the codes of this secret (base32). Raises ValueError."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    return TOTP(key, DIGITS, SHA1(), STEP_S, enforce_key_length=False)  # noqa: S303 — what authenticator apps use


class PasswordCheck:
    """Compares what a person entered with the user's hash and secret. A one-time code counts once."""

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._unknown_users_hash = _unknown_users_hash()
        self._used: dict[tuple[str, str], int] = {}
        """User and secret → the last step of the clock whose code was used."""

    def expected(self, user: User | None) -> str:
        """The hash with which the password is compared."""
        return user.password if user and user.password else self._unknown_users_hash

    def is_right(self, user: User | None, matches: bool, code: str) -> bool:
        """`matches`: whether the password is that of the `expected` hash."""
        if not matches or user is None or not user.password:
            return False
        if user.given_until is not None and self._clock_s() >= user.given_until.timestamp():
            return False
        return user.totp is None or self.takes(user.name, user.totp, code)

    def takes(self, name: str, secret: str, code: str) -> bool:
        """True if it is a code of this user's secret that was not used before. It is used then."""
        generator, now = one_time_codes(secret), int(self._clock_s()) // STEP_S
        for step in (now - 1, now, now + 1):
            expected = generator.generate(step * STEP_S)
            if step > self._used.get((name, secret), -1) and hmac.compare_digest(code.encode(), expected):
                self._used[name, secret] = step
                return True
        return False
