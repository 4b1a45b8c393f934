"""The group ristretto255 (RFC 9496), provided by libsodium. Elements and scalars are encoded in 32 bytes.

libsodium is called directly because its Python bindings lack the group, have no verifiable wheel, or unpack their own
library on import.
"""

import ctypes
from typing import Final

from idtone.core.errors import TrustError

BYTES: Final = 32
_HASH_BYTES: Final = 64
_IDENTITY: Final = bytes(BYTES)
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_LIBRARIES: Final = ("libsodium.so.26", "libsodium.so.23")
"""Library names for libsodium 1.0.19 and later, and for Debian's 1.0.18, the first version with this group."""
_INPUTS: Final = {
    "crypto_core_ristretto255_random": (),
    "crypto_core_ristretto255_from_hash": (_HASH_BYTES,),
    "crypto_core_ristretto255_add": (BYTES, BYTES),
    "crypto_scalarmult_ristretto255": (BYTES, BYTES),
    "crypto_scalarmult_ristretto255_base": (BYTES,),
    "crypto_core_ristretto255_scalar_random": (),
    "crypto_core_ristretto255_scalar_reduce": (_HASH_BYTES,),
    "crypto_core_ristretto255_scalar_invert": (BYTES,),
    "crypto_core_ristretto255_scalar_sub": (BYTES, BYTES),
    "crypto_core_ristretto255_scalar_mul": (BYTES, BYTES),
}
"""Input sizes by function. The first argument of each function points to its 32-byte result."""
_RETURN_NOTHING: Final = ("_random", "_reduce", "_scalar_sub", "_scalar_mul")
"""Suffixes of functions that cannot fail. All others return 0 for success."""


def _loaded() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if library.sodium_init() < 0:
            break
        for function, inputs in _INPUTS.items():
            getattr(library, function).argtypes = [ctypes.c_char_p] * (1 + len(inputs))
            getattr(library, function).restype = None if function.endswith(_RETURN_NOTHING) else ctypes.c_int
        return library
    raise TrustError("libsodium is missing on this machine; install it (Debian: libsodium23)")


_SODIUM: Final = _loaded()


def _made(function: str, *inputs: bytes) -> bytes:
    """Call a libsodium function and return its result.

    Raises TrustError if an input has the wrong size, or if the function fails because its result would be the identity.
    """
    if tuple(map(len, inputs)) != _INPUTS[function]:
        raise _no_element()
    made = ctypes.create_string_buffer(BYTES)
    if getattr(_SODIUM, function)(made, *inputs):
        raise _no_element()
    return made.raw


def _no_element() -> TrustError:
    return TrustError("this is not an element of the group ristretto255")


def checked_element(octets: bytes) -> bytes:
    """The bytes, if they encode an element other than the identity. Raises TrustError otherwise.

    The group has prime order, so no other element has a low order.
    """
    if len(octets) != BYTES or octets == _IDENTITY or not _SODIUM.crypto_core_ristretto255_is_valid_point(octets):
        raise _no_element()
    return octets


def checked_scalar(octets: bytes) -> bytes:
    """The bytes, if they encode a scalar below the order of the group. Raises TrustError otherwise."""
    if len(octets) != BYTES or int.from_bytes(octets, "little") >= ORDER:
        raise TrustError("this is not a scalar of the group ristretto255")
    return octets


def random_scalar() -> bytes:
    """A uniformly random scalar other than 0."""
    return _made("crypto_core_ristretto255_scalar_random")


def random_element() -> bytes:
    return _made("crypto_core_ristretto255_random")


def element_from_hash(octets: bytes) -> bytes:
    """Map 64 uniform bytes to an element with the one-way map (RFC 9496, section 4.3.4)."""
    return _made("crypto_core_ristretto255_from_hash", octets)


def reduced_scalar(octets: bytes) -> bytes:
    """Reduce 64 little-endian bytes to a scalar modulo the order of the group."""
    return _made("crypto_core_ristretto255_scalar_reduce", octets)


def multiply(factor: bytes, point: bytes) -> bytes:
    """The product of a scalar and an element. Raises TrustError if the product is the identity."""
    return _made("crypto_scalarmult_ristretto255", factor, point)


def multiply_base(factor: bytes) -> bytes:
    """The product of a scalar and the generator. Raises TrustError if the product is the identity."""
    return _made("crypto_scalarmult_ristretto255_base", factor)


def sum_of(first: bytes, second: bytes) -> bytes:
    return _made("crypto_core_ristretto255_add", first, second)


def scalar_product(first: bytes, second: bytes) -> bytes:
    return _made("crypto_core_ristretto255_scalar_mul", first, second)


def scalar_difference(first: bytes, second: bytes) -> bytes:
    return _made("crypto_core_ristretto255_scalar_sub", first, second)


def inverse_scalar(factor: bytes) -> bytes:
    """The inverse of a scalar. Raises TrustError for 0."""
    return _made("crypto_core_ristretto255_scalar_invert", factor)
