"""RFC 3161 timestamps on checkpoints. Builds requests and checks the authority's replies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from idtone.core.errors import ProofError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

REPLY_LIMIT: Final = 65_536
"""Maximum number of octets in a reply. Replies take 2 to 8 kB, including the authority's certificates."""
QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
_HASHES: Final = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


def query(text: str) -> tuple[bytes, int]:
    """Build a timestamp request (TimeStampReq, DER) for a checkpoint's text, and return it with its nonce.

    The request contains the SHA-512 of the text.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # takes time that other commands do not need

    made = TimestampRequestBuilder().data(text.encode()).hash_algorithm(HashAlgorithm.SHA512).build()
    assert made.nonce is not None
    return made.as_bytes(), made.nonce


def roots_of(pem: bytes) -> list[Certificate]:
    """Parse the certificates in a PEM file.

    Raises ProofError if the file has none.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ProofError("it holds no certificates (PEM)") from error


def _in_order(reply: bytes) -> bytes:
    """Sort the certificates in a reply as DER requires.

    The library requires this order, but OpenSSL and others do not follow it. The signature does not cover the order.
    Raises ValueError.
    """
    at, end = 0, len(reply)
    for children in _TO_CERTIFICATES:
        at, end = _inside(reply, at)
        for _ in range(children):
            _, at = _inside(reply, at)
    if at >= end or reply[at] != _CERTIFICATES:
        return reply
    at, end = _inside(reply, at)
    found, begin = [], at
    while begin < end:
        _, after = _inside(reply, begin)
        found.append(reply[begin:after])
        begin = after
    return reply[:at] + b"".join(sorted(found)) + reply[end:]


_CERTIFICATES: Final = 0xA0
_TO_CERTIFICATES: Final = (1, 1, 0, 3)
"""Number of elements to skip at each level on the way to the certificates.

These are 1 in the reply (the status), 1 in the token (the type), 0 in its content, and 3 in the SignedData (version,
digest algorithms, signed content).
"""


def _inside(der: bytes, at: int) -> tuple[int, int]:
    """Start and end of the content in the DER element at `at`.

    Raises ValueError.
    """
    if at + 2 > len(der):
        raise ValueError("cut off")
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + count], "big"), begin + count
    if begin + length > len(der):
        raise ValueError("cut off")
    return begin, begin + length


def stamped_at(reply: bytes, text: str, roots: Sequence[Certificate] = (), nonce: int | None = None) -> datetime:
    """The time at which `text` existed, according to a timestamp reply (TimeStampResp, DER).

    Without `roots`, no signature is verified. The authority's certificates must have been valid at that time. Raises
    ProofError if the timestamp is for another text, answers another request, or has no valid signature.
    """
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    try:
        found = decode_timestamp_response(_in_order(reply))
        if found.status not in (0, 1):
            raise ProofError("the authority refused: {why}", why="; ".join(found.status_string)[:200])
        info = found.tst_info
        name = info.message_imprint.hash_algorithm.dotted_string
        if name not in _HASHES or info.message_imprint.message != _HASHES[name](text.encode()).digest():
            raise ProofError("the timestamp is of something else")
        if nonce is not None and info.nonce != nonce:
            raise ProofError("the timestamp answers another request")
        if roots:
            VerifierBuilder(roots=list(roots)).build().verify_message(found, text.encode())
        return info.gen_time.replace(tzinfo=info.gen_time.tzinfo or UTC)
    except VerificationError as error:
        raise ProofError("no such authority has signed the timestamp: {error}", error=error) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise ProofError("this is no reply with a timestamp (RFC 3161)") from error
