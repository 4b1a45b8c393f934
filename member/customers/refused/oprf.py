"""Oblivious pseudorandom functions (RFC 9497) with the suite ristretto255-SHA512.

The client blinds its inputs. The server evaluates them with its secret key without learning anything about them. The
client then finalizes the outputs. In VOPRF mode, the server proves that it used the secret key that belongs to a known
public key. Names follow the RFC.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from idtone.core.errors import TrustError
from idtone.core.translation import Message

from . import ristretto255 as group

IDENTIFIER: Final = b"ristretto255-SHA512"
PROOF_BYTES: Final = 2 * group.BYTES
_BLOCK, _OUTPUT = 128, 64
"""Block size and output size of SHA-512, in bytes."""
_BASE: Final = group.multiply_base((1).to_bytes(group.BYTES, "little"))


class Mode(IntEnum):
    OPRF = 0
    VOPRF = 1
    POPRF = 2


@dataclass(frozen=True, slots=True)
class KeyPair:
    secret: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Blinded:
    """One input, which the client keeps until it finalizes the output. The client sends `element` to the server."""

    input: bytes
    blind: bytes
    element: bytes


class Suite:
    """Functions for one mode (RFC 9497, sections 2 and 3)."""

    def __init__(self, mode: Mode) -> None:
        self._context = b"OPRFV1-" + bytes([mode]) + b"-" + IDENTIFIER

    # -- hashing ------------------------------------------------------------------------------------------------------

    def hash_to_group(self, octets: bytes) -> bytes:
        return group.element_from_hash(expand_message_xmd(octets, b"HashToGroup-" + self._context, 64))

    def hash_to_scalar(self, octets: bytes, tag: bytes = b"HashToScalar-") -> bytes:
        return group.reduced_scalar(expand_message_xmd(octets, tag + self._context, 64))

    def derive_key_pair(self, seed: bytes, info: bytes) -> KeyPair:
        """Derive a key pair from 32 uniform bytes (section 3.2.1). Raises TrustError if there is none."""
        derived = seed + _prefixed(info)
        for counter in range(256):
            secret = self.hash_to_scalar(derived + bytes([counter]), b"DeriveKeyPair")
            if any(secret):
                return KeyPair(secret, group.multiply_base(secret))
        raise TrustError("no key follows from this seed; make a new one")

    # -- client -------------------------------------------------------------------------------------------------------

    def blind(self, octets: bytes, blind: bytes | None = None) -> Blinded:
        """Blind an input. `blind` is random unless a test provides it."""
        blind = blind or group.random_scalar()
        return Blinded(octets, blind, group.multiply(blind, self.hash_to_group(octets)))

    def finalize(self, blinded: Blinded, evaluated: bytes, info: bytes | None = None) -> bytes:
        """The 64-byte output. Verify `evaluated` first. `info` is used only in POPRF mode."""
        unblinded = group.multiply(group.inverse_scalar(blinded.blind), evaluated)
        public = b"" if info is None else _prefixed(info)
        hashed = _prefixed(blinded.input) + public + _prefixed(unblinded) + b"Finalize"
        return hashlib.sha512(hashed).digest()

    def verify(self, public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes) -> None:
        """Verify the proof (section 2.2.2).

        Raises TrustError unless the secret key for `public` evaluated all elements.
        """
        if len(proof) != PROOF_BYTES or len(blinded) != len(evaluated):
            raise TrustError(_NOT_PROVEN)
        challenge, response = group.checked_scalar(proof[: group.BYTES]), group.checked_scalar(proof[group.BYTES :])
        composite, image = self._composites(public, blinded, evaluated, None)
        first = group.sum_of(group.multiply_base(response), group.multiply(challenge, public))
        second = group.sum_of(group.multiply(response, composite), group.multiply(challenge, image))
        expected = self._challenge(public, composite, image, first, second)
        if not hmac.compare_digest(expected, challenge):
            raise TrustError(_NOT_PROVEN)

    # -- server -------------------------------------------------------------------------------------------------------

    def evaluate(self, secret: bytes, blinded: Sequence[bytes]) -> list[bytes]:
        """The blinded elements multiplied by the secret. Raises TrustError if an input is not a group element."""
        return [group.multiply(secret, group.checked_element(each)) for each in blinded]

    def prove(
        self,
        keys: KeyPair,
        blinded: Sequence[bytes],
        evaluated: Sequence[bytes],
        random: Callable[[], bytes] = group.random_scalar,
    ) -> bytes:
        """A 64-byte proof that the secret key evaluated all elements (section 2.2.1)."""
        composite, image = self._composites(keys.public, blinded, evaluated, keys.secret)
        nonce = random()
        first, second = group.multiply_base(nonce), group.multiply(nonce, composite)
        challenge = self._challenge(keys.public, composite, image, first, second)
        return challenge + group.scalar_difference(nonce, group.scalar_product(challenge, keys.secret))

    # -- both ---------------------------------------------------------------------------------------------------------

    def output(self, secret: bytes, octets: bytes) -> bytes:
        """The output, which the secret key's holder can compute without blinding."""
        evaluated = group.multiply(secret, self.hash_to_group(octets))
        return hashlib.sha512(_prefixed(octets) + _prefixed(evaluated) + b"Finalize").digest()

    def _challenge(self, public: bytes, *elements: bytes) -> bytes:
        return self.hash_to_scalar(b"".join(map(_prefixed, (public, *elements))) + b"Challenge")

    def _composites(
        self, public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], secret: bytes | None
    ) -> tuple[bytes, bytes]:
        """Weighted sums of both lists. If the secret key is given, it is used to compute the second sum."""
        seed = hashlib.sha512(_prefixed(public) + _prefixed(b"Seed-" + self._context)).digest()
        composite, image = bytes(group.BYTES), bytes(group.BYTES)
        for number, (before, after) in enumerate(zip(blinded, evaluated, strict=True)):
            transcript = _prefixed(seed) + number.to_bytes(2, "big") + _prefixed(before) + _prefixed(after)
            weight = self.hash_to_scalar(transcript + b"Composite")
            composite = group.sum_of(group.multiply(weight, before), composite)
            if secret is None:
                image = group.sum_of(group.multiply(weight, after), image)
        return composite, image if secret is None else group.multiply(secret, composite)


_NOT_PROVEN: Final = Message("the evaluation is not by the association's key")
VOPRF: Final = Suite(Mode.VOPRF)


def expand_message_xmd(message: bytes, tag: bytes, length: int) -> bytes:
    """Derive uniform bytes with SHA-512 (RFC 9380, section 5.3.1). `tag` has at most 255 bytes."""
    tagged = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(_BLOCK) + message + length.to_bytes(2, "big") + b"\0" + tagged).digest()
    made, last = b"", bytes(_OUTPUT)
    for number in range(1, -(-length // _OUTPUT) + 1):
        mixed = bytes(one ^ other for one, other in zip(first, last, strict=True))
        last = hashlib.sha512(mixed + bytes([number]) + tagged).digest()
        made += last
    return made[:length]


def _prefixed(octets: bytes) -> bytes:
    """The bytes, prefixed with their length in 2 bytes."""
    return len(octets).to_bytes(2, "big") + octets
