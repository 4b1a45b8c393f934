"""Sign-in with a password (argon2id) and a one-time code (TOTP, RFC 6238)."""

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
"""Lifetime of a one-time code, in seconds. The previous and the next code are also accepted."""
DIGITS: Final = 6
PASSWORD_LIMIT: Final = 1000

_hasher = PasswordHasher()


@cache
def _unknown_users_hash() -> str:
    """Hash to compare for unknown names, so that they take as long to check as known ones."""
    return _hasher.hash("unknown")


def hash_password(password: str) -> str:
    """The argon2id hash of a password. Like `is_password`, this takes tens of ms and 64 MiB by design."""
    return _hasher.hash(password)


def is_password(entered: str, expected: str) -> bool:
    """True if `expected` is the hash of the entered password. Raises MemoryError if memory runs out."""
    try:
        return _hasher.verify(expected, entered if len(entered) <= PASSWORD_LIMIT else "")
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:  # out of memory or threads; says nothing about the password
        raise MemoryError from error


def new_password() -> str:
    """A new password of 80 random bits that is easy to read out over the telephone."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def new_secret() -> str:
    """A new base32 secret of 160 random bits for one-time codes."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def provisioning_uri(name: str, secret: str) -> str:
    """The otpauth: URI for an authenticator app."""
    return one_time_codes(secret).get_provisioning_uri(name, "idtone")


def one_time_codes(secret: str) -> TOTP:
    """Generator of one-time codes for a base32 secret. Raises ValueError if the secret is invalid."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    return TOTP(key, DIGITS, SHA1(), STEP_S, enforce_key_length=False)  # noqa: S303 — what authenticator apps use


class PasswordCheck:
    """Checks passwords and codes against the user's hash and secret. Each code is accepted only once."""

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._unknown_users_hash = _unknown_users_hash()
        self._used: dict[tuple[str, str], int] = {}
        """Last time step whose code was used, by user and secret."""

    def expected(self, user: User | None) -> str:
        """The hash to check the entered password against, or a substitute if the user is unknown."""
        return user.password if user and user.password else self._unknown_users_hash

    def is_right(self, user: User | None, matches: bool, code: str) -> bool:
        """True if both password and code are correct. `matches` is True if the password matched `expected`.

        Temporary passwords are refused after `given_until`.
        """
        if not matches or user is None or not user.password:
            return False
        if user.given_until is not None and self._clock_s() >= user.given_until.timestamp():
            return False
        return user.totp is None or self.takes(user.name, user.totp, code)

    def takes(self, name: str, secret: str, code: str) -> bool:
        """True if the code is valid for the secret and has not been used. This call uses it up."""
        generator, now = one_time_codes(secret), int(self._clock_s()) // STEP_S
        for step in (now - 1, now, now + 1):
            expected = generator.generate(step * STEP_S)
            if step > self._used.get((name, secret), -1) and hmac.compare_digest(code.encode(), expected):
                self._used[name, secret] = step
                return True
        return False
