"""The desk's keys: each in an encrypted file of its own, or in a hardware token (PKCS#11), with the public half beside.

registry-1.pem      the key, which its holder alone has
registry-1.pub      what the others need of it
hsm:2?label=…       a key in a token; `PYKCS11LIB` names the token's PKCS#11 library
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)  # fmt: skip
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import CryptoSigner, HSMSigner, Key, Signer, SSlibKey

from idtone.errors import TrustError
from idtone.files import READABLE

_KEY_MODE: Final = 0o600
_TOKEN: Final = f"{HSMSigner.SCHEME}:"
PUBLIC: Final = ".pub"
TRIES: Final = 3

Passphrase = Callable[[str], str]
"""Asks for the passphrase, or the PIN, of what is named."""


class WrongPassphraseError(TrustError):
    """Or the file holds no key: that cannot be told apart."""


def make_key(path: Path, passphrase: str, public: Path | None = None) -> CryptoSigner:
    """A new Ed25519 key in an encrypted PEM file, and its public half. Raises TrustError where a file is there."""
    if not passphrase:
        raise TrustError("a key needs a passphrase")
    key = Ed25519PrivateKey.generate()
    try:
        encryption = BestAvailableEncryption(passphrase.encode())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    except ValueError as error:
        raise TrustError("the passphrase is too long, or is no text; choose another one") from error
    _write_new(path, text, _KEY_MODE)
    write_public(public or public_beside(path), SSlibKey.from_crypto(key.public_key()))
    return CryptoSigner(key)


def public_beside(path: Path) -> Path:
    """Where the public half of a key's file goes. Raises TrustError where that would be the key itself."""
    if path.suffix == PUBLIC:
        raise TrustError(f"{path}: is the name of a public half; let the key end in .pem")
    return path.with_suffix(PUBLIC) if path.suffix == ".pem" else path.with_name(path.name + PUBLIC)


def _write_new(path: Path, octets: bytes, mode: int) -> None:
    """Raises TrustError where it is there already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
    except OSError as error:
        raise TrustError(f"{path}: a key cannot be written here: {error.strerror}") from error


def load_key(path: Path, passphrase: str) -> CryptoSigner:
    """Raises TrustError where the file is open to others, or is no key of this passphrase."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise TrustError(f"{path}: others can read this key; chmod 600 it, and think about replacing it")
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise WrongPassphraseError(f"{path}: is no key, or the passphrase is another one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path}: is no Ed25519 key")
    return CryptoSigner(key)


def _loaded(path: Path, passphrase: Passphrase) -> CryptoSigner:
    """Who mistypes one passphrase of several need not enter the others again; who answers the same twice is done."""
    given = passphrase(f"of {path}")
    for _ in range(TRIES - 1):
        try:
            return load_key(path, given)
        except WrongPassphraseError:
            before, given = given, passphrase(f"of {path} again, since that was not it")
            if given == before:
                raise
    return load_key(path, given)


def signer(name: str, passphrase: Passphrase) -> Signer:
    """The key of a file or, as `hsm:…`, of a token. Raises TrustError."""
    if not name.startswith(_TOKEN):
        return _loaded(Path(name), passphrase)

    def pin(_: str) -> str:
        return passphrase(f"(PIN) of the token {name}")

    return HSMSigner.from_priv_key_uri(name, token_key(name, pin), pin)


def token_key(name: str, pin: Callable[[str], str]) -> Key:
    """The public half of a key in a token. Raises TrustError where there is no such token or key."""
    number, _, query = name.removeprefix(_TOKEN).partition("?")
    label = dict(parse_qsl(query)).get("label")
    if number and not (number.isascii() and number.isdecimal()):
        raise TrustError(f"{name}: is no key of a token; write its number: hsm:2?label=LABEL")
    try:
        _, key = HSMSigner.import_(int(number) if number else None, label, pin)
    except UnsupportedLibraryError as error:
        raise TrustError(f"{name}: tokens need the package python-pkcs11; install idtone[token]") from error
    except (ValueError, RuntimeError) as error:  # of python-pkcs11, which may not be there to be named
        raise TrustError(f"{name}: {str(error) or type(error).__name__}") from error
    return key


def write_public(path: Path, key: Key) -> None:
    """As PEM. Raises TrustError where the file is there already."""
    assert isinstance(key, SSlibKey)
    loaded = load_pem_public_key(key.keyval["public"].encode()) if "BEGIN" in key.keyval["public"] else None
    octets = (loaded or _ed25519(key)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(path, octets, READABLE)


def _ed25519(key: SSlibKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))


def load_public(path: Path) -> Key:
    """Raises TrustError for what is no public key of a kind that signs here."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{path}: is no public key; `idtone registry key` writes one") from error
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise TrustError(f"{path}: is neither an Ed25519 nor an ECDSA key")
    try:
        return SSlibKey.from_crypto(key)
    except ValueError as error:
        raise TrustError(f"{path}: is a key of a curve that is not used here; P-256 and P-384 are") from error
