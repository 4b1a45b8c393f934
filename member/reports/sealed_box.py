"""Sealed JSON for the holder of a private key: X25519, HKDF-SHA-256, AES-256-GCM.

    box = base64(one-time public key ‖ ciphertext and tag)
    key = HKDF(X25519(one-time key, recipient's key), salt = one-time public key ‖ recipient's public key,
               info = "idtone sealed box/1 " PURPOSE)

The nonce is constant because each one-time key seals only one box. The box's owner, for example its report, is
authenticated too, so a box moved to another report cannot be opened there.
"""

import base64
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idtone.core.errors import TrustError

PUBLIC_BYTES: Final = 32
_NONCE: Final = bytes(12)
_BLOCK: Final = 256
"""Content is padded to a multiple of this many bytes, so that the length reveals little about a name."""


class Purpose(StrEnum):
    """Purpose of a box. A box sealed for one purpose cannot be opened for another."""

    REPORT = "report"
    REPORTER = "reporter"
    REQUESTS = "requests"


def seal(content: Mapping[str, Any], to: bytes, purpose: Purpose, tied: str) -> str:
    """Seal a box for the holder of the X25519 public key `to` (32 bytes). `tied` names the box's owner.

    Raises TrustError if `to` is not a usable key.
    """
    once = X25519PrivateKey.generate()
    public = once.public_key().public_bytes_raw()
    try:
        shared = once.exchange(X25519PublicKey.from_public_bytes(to))
    except ValueError as error:
        raise TrustError("this is not an X25519 public key") from error
    text = json.dumps(dict(content), ensure_ascii=False).encode()
    padded = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
    box = public + AESGCM(_key(shared, public + to, purpose)).encrypt(_NONCE, padded, tied.encode())
    return base64.b64encode(box).decode()


def open_box(box: str, key: X25519PrivateKey, purpose: Purpose, tied: str) -> dict[str, Any]:
    """Open a box and return its content.

    Raises TrustError if it was altered, moved, or sealed for another key.
    """
    try:
        octets = base64.b64decode(box, validate=True)
        public = octets[:PUBLIC_BYTES]
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        secret = _key(shared, public + key.public_key().public_bytes_raw(), purpose)
        content = json.loads(AESGCM(secret).decrypt(_NONCE, octets[PUBLIC_BYTES:], tied.encode()))
    except (InvalidTag, ValueError) as error:
        raise TrustError("what is sealed here was changed, or sealed for another key") from error
    return dict(content)


def public_key(text: str) -> bytes:
    """Decode a base64 public key into its 32 bytes. Raises TrustError."""
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError:
        octets = b""
    if len(octets) != PUBLIC_BYTES:
        raise TrustError("this is not an X25519 public key")
    return octets


def _key(shared: bytes, salt: bytes, purpose: Purpose) -> bytes:
    return HKDF(SHA256(), 32, salt, f"idtone sealed box/1 {purpose}".encode()).derive(shared)
