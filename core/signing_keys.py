"""Signing keys of the association's offices, in encrypted files or in hardware tokens (PKCS#11).

registry-1.pem      the key; its holder alone has it
registry-1.pub      its public half, which the authority needs
hsm:2?label=…       a key in a token; `PYKCS11LIB` names the token's PKCS#11 library
"""

import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import CryptoSigner, HSMSigner, Key, Signer, SSlibKey

from .errors import TokenError, TrustError
from .files import READABLE, read_octets, reading, sync_folder
from .hardware_tokens import PREFIX, TokenKeyName, fault_of, no_library
from .new_passphrases import check_passphrase
from .translation import Message

_KEY_MODE: Final = 0o600
_HAS_MODES: Final = os.name == "posix"
"""True on systems with file modes. On Windows, every file looks readable by everyone."""
PUBLIC: Final = ".pub"
TRIES: Final = 3

Passphrase = Callable[[str], str]
"""Asks for the passphrase or PIN of the key named by its argument."""


class WrongPassphraseError(TrustError):
    """The passphrase is wrong or the file is not a key; these cases cannot be distinguished."""


def make_key(path: Path, passphrase: str, public: Path | None = None) -> CryptoSigner:
    """Create an Ed25519 key in an encrypted PEM file and write its public half to another file.

    Raises TrustError and leaves no new file if a file already exists or cannot be written, or if the passphrase is easy
    to guess.
    """
    check_passphrase(passphrase)
    key = make_private(path, passphrase)
    try:
        write_public(public or public_beside(path), SSlibKey.from_crypto(key.public_key()))
    except TrustError:
        path.unlink()
        raise
    return CryptoSigner(key)


def make_private(path: Path, passphrase: str) -> Ed25519PrivateKey:
    """Create an Ed25519 key in an encrypted PEM file without checking the passphrase's strength."""
    key, pem = new_key(passphrase)
    _write_new(path, pem, _KEY_MODE)
    return key


def new_key(passphrase: str) -> tuple[Ed25519PrivateKey, bytes]:
    """Generate an Ed25519 key. Returns it with its encrypted PEM. Raises TrustError for an unusable passphrase."""
    if not passphrase:
        raise TrustError("the passphrase is empty; choose one")
    key = Ed25519PrivateKey.generate()
    try:
        encryption = BestAvailableEncryption(passphrase.encode())
        return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    except ValueError as error:
        raise TrustError("the passphrase is too long, or is not text; choose another one") from error


def public_beside(path: Path) -> Path:
    """Default path for the public half of a key file. Raises TrustError if `path` itself ends in `.pub`."""
    if path.suffix == PUBLIC:
        raise TrustError("{path}: is a name for a public half; give the key a name in .pem", path=path)
    return path.with_suffix(PUBLIC) if path.suffix == ".pem" else path.with_name(path.name + PUBLIC)


def _write_new(path: Path, octets: bytes, mode: int) -> None:
    """Write a new file completely and durably. Raises TrustError if the file exists or cannot be written.

    Removes an incomplete file. Does not use a draft, because renaming it could replace an existing key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if mode == _KEY_MODE and _is_open_to_others(os.fstat(descriptor)):
                    path.unlink()
                    raise TrustError(
                        "{path}: every user could read a key here, because this file system keeps no permissions, "
                        "as that of a stick; make the key in a folder of your own computer",
                        path=path,
                    )
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            if _HAS_MODES:  # Windows opens no folder
                sync_folder(path.parent)
        except OSError:
            path.unlink()
            raise
    except OSError as error:
        raise TrustError(
            "{path}: a key cannot be written here: {reason}; name another file", path=path, reason=error.strerror
        ) from error


def _is_open_to_others(status: os.stat_result) -> bool:
    return _HAS_MODES and bool(stat.S_IMODE(status.st_mode) & 0o077)


def load_key(path: Path, passphrase: str) -> CryptoSigner:
    """Load a private key from an encrypted file. Raises TrustError for a wrong passphrase or unsafe permissions."""
    return CryptoSigner(_read_private(path, passphrase))


def read_pem(path: Path, passphrase: str) -> PrivateKeyTypes:
    """Load a private key of any kind. Raises TrustError for a wrong passphrase or unsafe permissions."""
    with reading(path, TrustError):
        if _is_open_to_others(path.stat()):
            raise TrustError(
                "{path}: other users can read this key; chmod 600 it, and consider replacing it", path=path
            )
        return _from_pem(path.read_bytes(), str(path), passphrase)


def _from_pem(pem: bytes, name: str, passphrase: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WrongPassphraseError("{path}: is not a key, or the passphrase is wrong", path=name) from error


def signer_in(pem: bytes, name: str, passphrase: str) -> Signer:
    """Load a signing key from PEM bytes. `name` is the file name for errors. Raises TrustError."""
    return CryptoSigner(_ed25519_only(_from_pem(pem, name, passphrase), name))


def _read_private(path: Path, passphrase: str) -> Ed25519PrivateKey:
    return _ed25519_only(read_pem(path, passphrase), str(path))


def _ed25519_only(key: PrivateKeyTypes, name: str) -> Ed25519PrivateKey:
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError("{path}: is not an Ed25519 key", path=name)
    return key


def private(path: Path, passphrase: Passphrase) -> Ed25519PrivateKey:
    """Load a private key, asking for the passphrase again after a wrong one. Raises TrustError.

    Stops asking if the same wrong passphrase is given twice.
    """
    given = passphrase(Message("of {path}", path=path))
    for _ in range(TRIES - 1):
        try:
            return _read_private(path, given)
        except WrongPassphraseError:
            before, given = given, passphrase(Message("of {path} again, because it was wrong", path=path))
            if given == before:
                raise
    return _read_private(path, given)


def signer(name: str, passphrase: Passphrase) -> Signer:
    """Load a signing key from a file, or from a token if the name starts with `hsm:`. Raises TrustError."""
    if not name.startswith(PREFIX):
        return CryptoSigner(private(Path(name), passphrase))

    @functools.cache  # the token asks for it again at each signature
    def pin(_: str) -> str:
        return passphrase(Message("(PIN) of the token {file}", file=name))

    return HSMSigner.from_priv_key_uri(name, token_key(name, pin), pin)


def token_key(name: str, pin: Callable[[str], str]) -> Key:
    """Public half of a key in a token. Raises TrustError if the token or the key is missing."""
    try:
        _, key = HSMSigner.import_(*TokenKeyName.parse(name), pin)
    except TokenError as error:
        raise TrustError(str(error)) from error
    except UnsupportedLibraryError as error:
        raise TrustError(no_library(name)) from error
    except (ValueError, RuntimeError) as error:  # python-pkcs11 raises subclasses, and may not be installed
        raise TrustError(fault_of(name, error)) from error
    return key


def write_public(path: Path, key: Key) -> None:
    """Write a public key as PEM. Raises TrustError if the file already exists."""
    _write_new(path, public_pem(key), READABLE)


def public_pem(key: Key) -> bytes:
    """Encode a public key as PEM."""
    assert isinstance(key, SSlibKey)
    loaded = load_pem_public_key(key.keyval["public"].encode()) if "BEGIN" in key.keyval["public"] else None
    return (loaded or _ed25519(key)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _ed25519(key: SSlibKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))


def load_public(path: Path) -> Key:
    """Load a public key from a file. Raises TrustError unless it is an Ed25519, P-256 or P-384 key."""
    try:
        key = load_pem_public_key(read_octets(path, TrustError))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError("{path}: is not a public key; `idtone-office key new` writes one", path=path) from error
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise TrustError("{path}: is neither an Ed25519 nor an ECDSA key", path=path)
    try:
        return SSlibKey.from_crypto(key)
    except ValueError as error:
        raise TrustError("{path}: is a key on another curve; use P-256 or P-384", path=path) from error
