"""Keys for customer records.

Each record is sealed with its own key, and one key encrypts the keys of all records. The ledger contains the record's
digest, which is computed with the record's key. Without that key, nobody can check a guessed form against the digest.
Once the key is destroyed, the digest reveals nothing.
"""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import CustomerError
from idtone.ledger.keys.key_file import KEY_BYTES
from idtone.ledger.keys.sealing import NONCE_BYTES, derive_key

_ONCE: Final = bytes(NONCE_BYTES)
"""Constant nonce, which is safe because each record key encrypts only once."""
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + 16


class RecordKey:
    """A record's key, which seals and opens the record and computes its digest."""

    def __init__(self, id_: str, secret: bytes) -> None:
        self._id = id_
        self._cipher = AESGCM(derive_key(secret, b"idtone customer record"))
        self._digests = derive_key(secret, b"idtone customer record digest")

    def seal(self, octets: bytes) -> bytes:
        """Seal the record. Each key may do so only once."""
        return self._cipher.encrypt(_ONCE, octets, self._id.encode())

    def open(self, sealed: bytes) -> bytes:
        """Open a sealed record. Raises CustomerError if it was changed or belongs to another id."""
        try:
            return self._cipher.decrypt(_ONCE, sealed, self._id.encode())
        except InvalidTag as error:
            raise _not_sealed(self._id) from error

    def digest(self, octets: bytes) -> str:
        """The record's digest as 64 hexadecimal digits."""
        return hmac.digest(self._digests, octets, hashlib.sha256).hex()


class CustomersKey:
    """The key that wraps and unwraps record keys. The secret has `KEY_BYTES` bytes."""

    def __init__(self, secret: bytes) -> None:
        self._wrap = AESGCM(derive_key(secret, b"idtone customer record key"))

    def make(self, id_: str) -> tuple[RecordKey, bytes]:
        """A new record key and its encrypted form for storage, which has `WRAPPED_BYTES` bytes."""
        secret, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        return RecordKey(id_, secret), nonce + self._wrap.encrypt(nonce, secret, id_.encode())

    def unwrap(self, id_: str, kept: bytes) -> RecordKey:
        """Decrypt a record key. Raises CustomerError if `kept` was changed or belongs to another id."""
        try:
            return RecordKey(id_, self._wrap.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], id_.encode()))
        except (InvalidTag, ValueError) as error:
            raise _not_sealed(id_) from error


def _not_sealed(id_: str) -> CustomerError:
    return CustomerError(
        "the record {id} is not what was sealed under this key; restore both files from one backup", id=id_
    )
