"""Seals telephone numbers with their day's key.

Each record's numbers are encrypted (AES-256-GCM) with a separate key, which is encrypted with the day key. Destroying a
day's key makes that day's numbers unreadable in every copy of the ledger.

Searches find a record by tokens, without opening its numbers. Tokens also depend on the day key. Without it, they
reveal neither a number nor whether the same number was used on two days.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import LedgerError
from idtone.core.numbers import Number, NumberKind

from ..evidence.canonical_json import canonical
from ..evidence.steps import DAY, SEALED, SEALED_KEY, SIP_CALL_ID_TOKEN, NumberRole, Scalar
from .key_file import KEY_BYTES
from .step_key import StepKey

NONCE_BYTES: Final = 12
_ONCE: Final = bytes(NONCE_BYTES)
"""A constant nonce, which is safe because a record's key encrypts only once."""
_PADDED: Final = 96
"""Size of the padded text in bytes. Three E.164 numbers of any length fit, so the size reveals nothing."""
_E164: Final = re.compile(r"\+[0-9]+")

TOKEN_BYTES: Final = 16
"""Size of a token in bytes. With 128 bits of HMAC-SHA-256, no two numbers in a country share a token by chance."""


def day_of(at: datetime) -> str:
    """The UTC day whose key seals a record's numbers, such as `2026-11-01`."""
    return at.astimezone(UTC).date().isoformat()


class DayKey:
    """The key that seals and opens one day's telephone numbers.

    `secret` has `KEY_BYTES` bytes.
    """

    def __init__(self, day: str, secret: bytes) -> None:
        self.day = day
        self._tokens = derive_key(secret, b"idtone ledger token")
        self._wrap = AESGCM(derive_key(secret, b"idtone ledger record key"))

    def token(self, number: Number) -> str:
        """A number's search token, which has 32 hexadecimal digits and stays the same throughout the day."""
        return hmac.digest(self._tokens, number.e164.encode(), hashlib.sha256)[:TOKEN_BYTES].hex()

    def sip_call_id_token(self, sip_call_id: str) -> str:
        """Search token for a SIP Call-ID, as 32 hexadecimal digits.

        A SIP Call-ID is kept only as a token, because it can contain a number or an address. It never has the same
        token as a number, because a number's text begins with +.
        """
        return hmac.digest(self._tokens, b"sip call-id\0" + sip_call_id.encode(), hashlib.sha256)[:TOKEN_BYTES].hex()

    def seal(self, call_id: str, numbers: Mapping[NumberRole, Number], sip_call_id: str = "") -> dict[str, Scalar]:
        """Seal a call's numbers, and return them as step details.

        Each number gets a token, and all numbers are encrypted together. `sip_call_id` is kept only as a token, and is
        empty if there is none.
        """
        key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        text = canonical({role: number.e164 for role, number in numbers.items()}).ljust(_PADDED)
        tied = call_id.encode()
        details: dict[str, Scalar] = {f"{role}_token": self.token(number) for role, number in numbers.items()}
        if sip_call_id:
            details[SIP_CALL_ID_TOKEN] = self.sip_call_id_token(sip_call_id)
        details[DAY] = self.day
        details[SEALED] = _text(AESGCM(key).encrypt(_ONCE, text.encode(), tied))
        details[SEALED_KEY] = _text(nonce + self._wrap.encrypt(nonce, key, tied))
        return details

    def record_key(self, call_id: str, details: Mapping[str, Scalar]) -> bytes:
        """The key of a single record, which opens only that record's numbers.

        Raises LedgerError if the sealed numbers were changed.
        """
        try:
            wrapped = base64.b64decode(str(details[SEALED_KEY]), validate=True)
            return self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], call_id.encode())
        except (InvalidTag, ValueError, KeyError) as error:
            raise _changed(call_id) from error

    def open(self, call_id: str, details: Mapping[str, Scalar]) -> dict[NumberRole, Number]:
        """Open the sealed numbers of a call.

        Raises LedgerError if the sealed numbers were changed.
        """
        return open_with(self.record_key(call_id, details), call_id, details)


def open_with(record_key: bytes, call_id: str, details: Mapping[str, Scalar]) -> dict[NumberRole, Number]:
    """Open a call's sealed numbers with the record's own key.

    Raises LedgerError if the numbers were not sealed with this key.
    """
    try:
        sealed = base64.b64decode(str(details[SEALED]), validate=True)
        plain = AESGCM(record_key).decrypt(_ONCE, sealed, call_id.encode())
        held = json.loads(plain)
        if canonical(held).encode().ljust(_PADDED) != plain or not all(map(_E164.fullmatch, held.values())):
            raise _changed(call_id)
        return {NumberRole(role): Number(NumberKind(str(details[f"{role}_kind"])), e164) for role, e164 in held.items()}
    except (InvalidTag, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _changed(call_id) from error


def _changed(call_id: str) -> LedgerError:
    return LedgerError("the numbers of call {call_id} are not what was sealed under this key", call_id=call_id)


class LedgerKey:
    """The ledger's main key, which encrypts the day keys.

    `key` has `KEY_BYTES` bytes; any other size raises LedgerError.
    """

    def __init__(self, key: bytes) -> None:
        """`key` must have `KEY_BYTES` bytes. Raises LedgerError if it has another size."""
        if len(key) != KEY_BYTES:
            raise LedgerError(
                "the ledger's key has {count} bytes instead of {wanted}; restore it from a backup",
                count=len(key),
                wanted=KEY_BYTES,
            )
        self._key = key
        self._wrap = AESGCM(derive_key(key, b"idtone ledger day key"))
        self._held = AESGCM(derive_key(key, b"idtone ledger held record key"))

    def step_key(self, origin: str) -> StepKey:
        """The key for MACs on the steps in the tree `origin`."""
        return StepKey(derive_key(self._key, b"idtone ledger steps of " + origin.encode()))

    def pending_key(self) -> StepKey:
        """The key for MACs on decisions that are not in the ledger yet."""
        return StepKey(derive_key(self._key, b"idtone ledger pending decisions"))

    def wrap_record(self, call_id: str, key: bytes) -> bytes:
        """Encrypt a record's key so that it can be kept after the day key is destroyed."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._held.encrypt(nonce, key, call_id.encode())

    def unwrap_record(self, call_id: str, kept: bytes) -> bytes:
        """Decrypt a record's key that `wrap_record` encrypted.

        Raises LedgerError if it was encrypted with another ledger's key or for another call.
        """
        try:
            return self._held.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], call_id.encode())
        except (InvalidTag, ValueError) as error:
            raise LedgerError(
                "the key of the held call {call_id} was not made with this ledger's key; restore both files from "
                "one backup",
                call_id=call_id,
            ) from error

    def make(self, day: str) -> tuple[DayKey, bytes]:
        """Create a day key, and return it with its encrypted form."""
        secret, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        return DayKey(day, secret), nonce + self._wrap.encrypt(nonce, secret, day.encode())

    def unwrap(self, day: str, kept: bytes) -> DayKey:
        """Decrypt a day key.

        Raises LedgerError if it was encrypted with another ledger's key.
        """
        try:
            return DayKey(day, self._wrap.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], day.encode()))
        except (InvalidTag, ValueError) as error:
            raise LedgerError(
                "the key of {day} was not made with this ledger's key; restore both files from one backup", day=day
            ) from error


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """Derive a key from a secret: one block of HKDF-Expand (RFC 5869, section 2.3).

    HKDF-Extract is not needed, because the secret is already uniform.
    """
    return hmac.digest(secret, purpose + b"\1", hashlib.sha256)


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
