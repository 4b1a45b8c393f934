"""The refusals' key: a secret seed in an encrypted file.

The key evaluates members' checks (RFC 9497) and encrypts identities. Each epoch has its own key pair, derived from the
seed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import TrustError
from idtone.core.new_passphrases import check_passphrase
from idtone.core.signing_keys import Passphrase, make_private, private
from idtone.member.customers.refused.customer_identity import CustomerIdentity
from idtone.member.customers.refused.identity_keys import IdentityKey
from idtone.member.customers.refused.oprf import VOPRF, KeyPair
from idtone.member.customers.refused.refusal_list import TOKEN_BYTES

_NONCE_BYTES: Final = 12


class RefusalKey:
    """The refusals' secret key. `seed` is 32 bytes long."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._seal = AESGCM(hmac.digest(seed, b"idtone refusals sealing\1", hashlib.sha256))

    @classmethod
    def load(cls, path: Path, passphrase: Passphrase) -> RefusalKey:
        """Load the key from an encrypted file. Raises TrustError."""
        return cls(private(path, passphrase).private_bytes_raw())

    @classmethod
    def make(cls, path: Path, passphrase: str) -> RefusalKey:
        """Create a key in a new encrypted file. Raises TrustError."""
        check_passphrase(passphrase)
        return cls(make_private(path, passphrase).private_bytes_raw())

    def key_pair(self, epoch: int) -> KeyPair:
        return VOPRF.derive_key_pair(self._seed, f"idtone refusals {epoch}".encode())

    def tokens(self, epoch: int, keys: Iterable[IdentityKey]) -> list[bytes]:
        """Tokens for the identity keys in an epoch. Members obtain the same tokens by checking with the desk."""
        secret = self.key_pair(epoch).secret
        return sorted({VOPRF.output(secret, key.octets)[:TOKEN_BYTES] for key in keys})

    def seal(self, number: int, identity: CustomerIdentity) -> bytes:
        """Encrypt an identity so that it can be decrypted only for the refusal with the same number."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, identity.model_dump_json(exclude_none=True).encode(), _tied(number))

    def open(self, number: int, sealed: bytes) -> CustomerIdentity:
        """Decrypt an identity. Raises TrustError if it was encrypted with another key or for another refusal."""
        try:
            held = self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _tied(number))
        except (InvalidTag, ValueError) as error:
            raise TrustError(
                "X-{number} is not sealed by this key; name the key of the refusals", number=number
            ) from error
        return CustomerIdentity.model_validate(json.loads(held))


def _tied(number: int) -> bytes:
    return f"X-{number}".encode()
