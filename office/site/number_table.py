"""The public site's tables, with a token and a masked answer for each number.

A file consists of all tokens, in ascending order, and then all answers. Without the key, a table reveals no number.

For each number, the VOPRF (RFC 9497) with the key yields an output. The token is its first eight bytes. The answer is
the holder's place times eight plus the `NumberAnswer`, in big-endian order, masked with the first two bytes of
SHA-512(output, salt). The page receives the output from the number service, which does not learn the number, and
searches the file for the token. A table too large for a smartphone is split into files by the numbers' first digits.

The salt is a keyed digest of the file's answers. If no answer changes, the file stays the same, and browsers keep it.
If one answer changes, all masks change. Padding rows are derived from the key and stay the same. Comparing two editions
therefore shows how many numbers were added and removed, but no answers or numbers.
"""

import hashlib
import hmac
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from idtone.member.customers.refused.oprf import VOPRF, KeyPair

from .number_answers import NumberAnswer

TOKEN_BYTES: Final = 8
MASK_BYTES: Final = 2
HOLDERS_LIMIT: Final = 2**13
FILE_LIMIT: Final = 2 * 1024 * 1024
"""Maximum size in bytes of the file that a phone loads for one answer. Larger tables are split by area."""
AREA_DIGITS: Final = 4
"""Number of digits in the longest area. Some Japanese area codes have five digits including their 0."""
_PADDED_TO: Final = 256
"""The number of rows is padded to a multiple of this, to hide a file's exact count of numbers."""
_COUNTRY: Final = "+81"
_Row = tuple[bytes, bytes]
"""A number's VOPRF output, and its answer before masking."""


_SALT_BYTES: Final = 16
_SALT: Final = b"idtone public numbers salt\1"
_FILLING: Final = b"idtone public numbers filling\1"


@dataclass(frozen=True, slots=True)
class TableFile:
    """Content of one table file, and the salt of its masks, which the signed statement contains."""

    octets: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class NumberTable:
    """Table of all numbers. `files` maps areas, the first `area_digits` digits after +81, to files.

    If there is only one file, its area is empty.
    """

    area_digits: int
    files: Mapping[str, TableFile]


def key_pair(seed: bytes) -> KeyPair:
    """Derive the key pair of the VOPRF from 32 secret bytes."""
    return VOPRF.derive_key_pair(seed, b"idtone public numbers")


def table(keys: KeyPair, rows: Iterable[tuple[str, NumberAnswer, int]]) -> NumberTable:
    """Create the table for the given numbers (E.164), each with its answer and its holder's place."""
    placed = [
        (number, (VOPRF.output(keys.secret, number.encode()), struct.pack(">H", holder * 8 + answer)))
        for number, answer, holder in rows
    ]
    for digits in range(AREA_DIGITS):
        files = _files(keys.secret, placed, digits)
        if max((len(file.octets) for file in files.values()), default=0) <= FILE_LIMIT:
            return NumberTable(digits, files)
    return NumberTable(AREA_DIGITS, _files(keys.secret, placed, AREA_DIGITS))


def _files(secret: bytes, placed: Iterable[tuple[str, _Row]], digits: int) -> dict[str, TableFile]:
    areas: dict[str, list[_Row]] = defaultdict(list)
    for number, row in placed:
        areas[area_of(number, digits)].append(row)
    return {area: _file(secret, area, rows) for area, rows in sorted(areas.items())}


def area_of(number: str, digits: int) -> str:
    return number.removeprefix(_COUNTRY)[:digits]


def look_up(file: TableFile, output: bytes) -> tuple[NumberAnswer, int] | None:
    """Find the answer and holder's place for the number with this VOPRF output, or return None if it is missing."""
    octets, size = file.octets, TOKEN_BYTES + MASK_BYTES
    for at in range(0, len(octets) // size):
        if octets[at * TOKEN_BYTES : (at + 1) * TOKEN_BYTES] == output[:TOKEN_BYTES]:
            begin = len(octets) // size * TOKEN_BYTES + at * MASK_BYTES
            (value,) = struct.unpack(">H", _masked(octets[begin : begin + MASK_BYTES], output, file.salt))
            return NumberAnswer(value % 8), value // 8
    return None


def _file(secret: bytes, area: str, rows: list[_Row]) -> TableFile:
    filling = (
        (hmac.digest(secret, _FILLING + f"{area}/{n}".encode(), "sha512"), bytes(MASK_BYTES))
        for n in range(-len(rows) % _PADDED_TO)
    )
    ordered = sorted([*rows, *filling])
    answers = b"".join(output + value for output, value in ordered)
    salt = hmac.digest(secret, _SALT + area.encode() + b"/" + hashlib.sha512(answers).digest(), "sha512")[:_SALT_BYTES]
    tokens = b"".join(output[:TOKEN_BYTES] for output, _ in ordered)
    return TableFile(tokens + b"".join(_masked(value, output, salt) for output, value in ordered), salt)


def _masked(value: bytes, output: bytes, salt: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(value, hashlib.sha512(output + salt).digest(), strict=False))


def file_name(octets: bytes) -> str:
    """File name derived from the content, so that browsers keep the file until the content changes."""
    return f"{hashlib.sha256(octets).hexdigest()[:16]}.bin"
