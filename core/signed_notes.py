"""Signed notes (C2SP signed-note v1) and cosignatures of witnesses (tlog-cosignature v1).

Only Ed25519 signatures are verified, as in most logs and witnesses. Signatures with other keys or algorithms are kept
but prove nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import ProofError

SIGNATURES_LIMIT: Final = 64
"""Maximum number of signature lines in a note; signed-note requires at least 16."""
NOTE_LIMIT: Final = 256 * 1024
"""Maximum size of a note in bytes, enough to keep `SIGNATURES_LIMIT` post-quantum signatures."""
KEY_BYTES: Final = 32
_LATEST: Final = 2**63 - 1

_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH: Final = "\N{EM DASH}"


class Algorithm(IntEnum):
    """Signature algorithm, numbered by its C2SP signed-note signature type."""

    ED25519 = 1
    """Ed25519 over the note's text."""
    COSIGNATURE = 4
    """Ed25519 over `cosignature/v1`, a line with the time, and a checkpoint's text."""


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A signature line of a note. `signature` excludes the four bytes of the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> SignatureLine:
        """Parse a signature line without its newline. Raises ProofError."""
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        octets = decode_base64(encoded)
        if dash != _DASH or not _NAME.fullmatch(name) or octets is None or len(octets) < 5:
            raise ProofError("a line below the note is not a signature line (— NAME BASE64)")
        return cls(name, octets[:4], octets[4:])


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key for signed notes: a name, an algorithm, and the 32 bytes of an Ed25519 key."""

    name: str
    algorithm: Algorithm
    public: bytes

    def __post_init__(self) -> None:
        """Validate the name and the key length. Raises ProofError."""
        if not _NAME.fullmatch(self.name):
            raise ProofError(
                "{name!r} cannot be the name of a key: it must have neither spaces nor plus signs", name=self.name
            )
        if len(self.public) != KEY_BYTES:
            raise ProofError(
                "an Ed25519 public key has {expected} bytes, not {length}", expected=KEY_BYTES, length=len(self.public)
            )

    @property
    def key_id(self) -> bytes:
        """Key id: the first four bytes of SHA-256(name ‖ newline ‖ algorithm ‖ public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The key in the C2SP signed-note text form NAME+ID+BASE64."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Parse a key in the form `NAME+ID+BASE64`. Raises ProofError."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        octets = decode_base64(encoded)
        if not octets or octets[0] not in set(Algorithm):
            raise ProofError("is not a verifier key (NAME+ID+BASE64) with an Ed25519 key")
        key = cls(name, Algorithm(octets[0]), octets[1:])
        if key.key_id.hex() != key_id:
            raise ProofError(
                "the verifier key of {name} does not have the id that is written in it; copy it again", name=name
            )
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """True if `signature`, taken from a signature line, is valid for the text."""
        message = text.encode()
        if self.algorithm is Algorithm.COSIGNATURE:
            time_s = int.from_bytes(signature[:8], "big")
            message, signature = _cosigned(text, time_s), signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class NoteSigner(Protocol):
    """Interface for a key that signs notes under a name. The key may be in a hardware token."""

    @property
    def key(self) -> VerifierKey: ...
    def named(self, name: str) -> NoteSigner: ...
    def sign(self, text: str) -> SignatureLine: ...


class Signer:
    """Signs notes with an Ed25519 key in memory."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Load the key from its seed of 32 bytes. Raises ProofError if the name is not valid in signatures."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = VerifierKey(name, Algorithm.ED25519, public)
        self.cosigner = VerifierKey(name, Algorithm.COSIGNATURE, public)

    def named(self, name: str) -> Signer:
        """The same key under another name. Raises ProofError."""
        return Signer(name, self._private.private_bytes_raw())

    def sign(self, text: str) -> SignatureLine:
        return SignatureLine(self.key.name, self.key.key_id, self._private.sign(text.encode()))

    def cosign(self, text: str, time_s: int) -> SignatureLine:
        """Cosign a checkpoint as a witness at `time_s` seconds since 1970 (C2SP tlog-cosignature)."""
        signature = self._private.sign(_cosigned(text, time_s))
        return SignatureLine(self.cosigner.name, self.cosigner.key_id, time_s.to_bytes(8, "big") + signature)


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, with its signatures."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.signatures))

    @classmethod
    def parse(cls, octets: bytes) -> Note:
        """Parse a note. Its text is untrusted until `signed_by` has verified a signature. Raises ProofError."""
        if len(octets) > NOTE_LIMIT:
            raise ProofError("the note is larger than {note_limit} bytes", note_limit=NOTE_LIMIT)
        try:
            whole = octets.decode()
        except UnicodeDecodeError as error:
            raise ProofError("the note is not UTF-8") from error
        if _CONTROL.search(whole):
            raise ProofError("the note holds control characters")
        text, empty, below = whole.rpartition("\n\n")
        if not empty or not below.endswith("\n"):
            raise ProofError("the note has no signatures below an empty line")
        lines = below[:-1].split("\n")
        if len(lines) > SIGNATURES_LIMIT:
            raise ProofError("the note has more than {signatures_limit} signatures", signatures_limit=SIGNATURES_LIMIT)
        return cls(text + "\n", tuple(map(SignatureLine.parse, lines)))

    def with_lines(self, lines: Iterable[SignatureLine]) -> Note:
        """Copy of the note with additional signature lines, without duplicates."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *lines))))

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Keys that have signed the note, out of the given keys. Verifies their signatures.

        Signatures by other keys are ignored. Raises ProofError if a signature that names one of the keys is wrong.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signed: dict[VerifierKey, None] = {}
        for line in self.signatures:
            key = known.get((line.name, line.key_id))
            if key is None:
                continue
            if not key.verifies(self.text, line.signature):
                raise ProofError("the signature of {key} is not on this text", key=key.name)
            signed.setdefault(key)
        return tuple(signed)


def cosigned_at(line: SignatureLine) -> int:
    """Time of a cosignature in seconds since 1970. Raises ProofError if the line is not a cosignature."""
    time_s = int.from_bytes(line.signature[:8], "big")
    if len(line.signature) != 8 + 64 or time_s > _LATEST:
        raise ProofError("the line of {name} is no cosignature", name=line.name)
    return time_s


def decode_base64(encoded: str) -> bytes | None:
    """Decode strict, canonical base64 (RFC 4648, section 4); None for any other text."""
    try:
        octets = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets if base64.b64encode(octets).decode() == encoded else None
