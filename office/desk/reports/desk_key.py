"""Keys of the report desk.

The file `reports.key` contains 32 secret bytes that open reports and turn numbers into tokens. The file
`report-officer.pub` (PEM) contains the report officer's public key. The officer keeps the private key offline,
protected by a passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from idtone.core.errors import TrustError
from idtone.core.files import read_if_there
from idtone.core.numbers import Number
from idtone.core.signing_keys import read_pem
from idtone.core.translation import Message
from idtone.ledger.keys.key_file import load_key

KEY_FILE: Final = "reports.key"
OFFICER_FILE: Final = "report-officer.pub"
_TOKEN_BYTES: Final = 16
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class DeskKey:
    """The report desk's key, which opens sealed reports and turns numbers into tokens."""

    private: X25519PrivateKey
    _tokens: bytes

    @classmethod
    def of(cls, folder: Path) -> DeskKey:
        """Load the key from a folder, creating it if it is missing. Raises LedgerError if the key cannot be used."""
        secret = load_key(folder / KEY_FILE)
        return cls(X25519PrivateKey.from_private_bytes(secret), hmac.digest(secret, b"idtone report token\1", "sha256"))

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    def token(self, number: Number) -> str:
        """Token for a number: 32 hexadecimal digits, always the same for the same number."""
        return hmac.digest(self._tokens, number.e164.encode(), hashlib.sha256)[:_TOKEN_BYTES].hex()


def officer_public(folder: Path) -> bytes | None:
    """Load the report officer's public key, or return None if the folder contains none. Raises TrustError."""
    path = folder / OFFICER_FILE
    octets = read_if_there(path, TrustError)
    if octets is None:
        return None
    try:
        key = load_pem_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(_not_officers(path)) from error
    if not isinstance(key, X25519PublicKey):
        raise TrustError(_not_officers(path))
    return key.public_bytes_raw()


def _not_officers(path: Path) -> Message:
    return Message("{path}: is not a report officer's public key; `idtone-office report new-key` writes one", path=path)


def make_officer_key(path: Path, public: Path, passphrase: str) -> None:
    """Create the report officer's key in an encrypted PEM file at `path`, with its public key at `public`.

    Raises TrustError if either file exists.
    """
    if not passphrase:
        raise TrustError("the passphrase is empty; choose one")
    for each in (path, public):
        if each.exists():
            raise TrustError("{path}: exists already; a key is never overwritten", path=each)
    key = X25519PrivateKey.generate()
    try:
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    except ValueError as error:
        raise TrustError("the passphrase is too long, or is not text; choose another one") from error
    half = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for each, octets, mode in ((path, text, _PRIVATE), (public, half, 0o644)):
        try:
            with os.fdopen(os.open(each, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(octets)
        except OSError as error:
            raise TrustError(
                "{path}: a key cannot be written here: {reason}; name another file", path=each, reason=error.strerror
            ) from error


def load_officer_key(path: Path, passphrase: str) -> X25519PrivateKey:
    """Load the report officer's private key.

    Raises TrustError if other users can read the file or the passphrase is wrong.
    """
    key = read_pem(path, passphrase)
    if not isinstance(key, X25519PrivateKey):
        raise TrustError("{path}: is not a report officer's key", path=path)
    return key
