"""The table of the public page: for each number a token that says nothing without the key, and a masked answer. Pure.

    TOKENS ANSWERS

The first eight bytes of the key's function of a number (RFC 9497, VOPRF) are its token. The two bytes after them mask
its answer: the place of the holder times eight, and the `NumberAnswer`; big-endian. Tokens ascend. The page gets the
function from the service, which does not learn the number, and finds the token in the file by itself. Only a table that
is too large for a telephone is cut into files, by the first digits of the numbers.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from idtone.member.customers.refused.oprf import VOPRF, KeyPair

from .number_answers import NumberAnswer

TOKEN_BYTES: Final = 8
MASK_BYTES: Final = 2
HOLDERS_LIMIT: Final = 2**13
FILE_LIMIT: Final = 2 * 1024 * 1024
"""Bytes that a telephone loads for one answer. Only a larger table is cut by areas."""
AREA_DIGITS: Final = 4
"""The longest area: some area codes of Japan have five digits with their 0."""
_PADDED_TO: Final = 256
"""Rows. The size of a file says how many numbers it has no better than this."""
_COUNTRY: Final = "+81"


@dataclass(frozen=True, slots=True)
class NumberTable:
    """`files` by area: the first `area_digits` digits after +81, empty for the only one."""

    area_digits: int
    files: Mapping[str, bytes]


def key_pair(seed: bytes) -> KeyPair:
    """`seed` has 32 secret bytes."""
    return VOPRF.derive_key_pair(seed, b"idtone public numbers")


def table(keys: KeyPair, rows: Iterable[tuple[str, NumberAnswer, int]]) -> NumberTable:
    """The table of these numbers (E.164), each with its answer and the place of its holder."""
    sealed = [(number, _row(keys.secret, number, answer, holder)) for number, answer, holder in rows]
    for digits in range(AREA_DIGITS):
        files = _files(sealed, digits)
        if max(map(len, files.values()), default=0) <= FILE_LIMIT:
            return NumberTable(digits, files)
    return NumberTable(AREA_DIGITS, _files(sealed, AREA_DIGITS))


def _files(sealed: Iterable[tuple[str, bytes]], digits: int) -> dict[str, bytes]:
    areas: dict[str, list[bytes]] = defaultdict(list)
    for number, row in sealed:
        areas[area_of(number, digits)].append(row)
    return {area: _packed(rows) for area, rows in sorted(areas.items())}


def area_of(number: str, digits: int) -> str:
    return number.removeprefix(_COUNTRY)[:digits]


def found(octets: bytes, output: bytes) -> tuple[NumberAnswer, int] | None:
    """The answer and the place of the holder for a number whose function is `output`; None: the table lacks it."""
    size = TOKEN_BYTES + MASK_BYTES
    for at in range(0, len(octets) // size):
        if octets[at * TOKEN_BYTES : (at + 1) * TOKEN_BYTES] == output[:TOKEN_BYTES]:
            begin = len(octets) // size * TOKEN_BYTES + at * MASK_BYTES
            (value,) = struct.unpack(">H", _masked(octets[begin : begin + MASK_BYTES], output))
            return NumberAnswer(value % 8), value // 8
    return None


def _row(secret: bytes, number: str, answer: NumberAnswer, holder: int) -> bytes:
    output = VOPRF.output(secret, number.encode())
    return output[:TOKEN_BYTES] + _masked(struct.pack(">H", holder * 8 + answer), output)


def _masked(value: bytes, output: bytes) -> bytes:
    mask = output[TOKEN_BYTES : TOKEN_BYTES + MASK_BYTES]
    return bytes(one ^ other for one, other in zip(value, mask, strict=True))


def _packed(rows: list[bytes]) -> bytes:
    filling = (secrets.token_bytes(TOKEN_BYTES + MASK_BYTES) for _ in range(-len(rows) % _PADDED_TO))
    ordered = sorted([*rows, *filling])
    return b"".join(_parts(ordered, slice(TOKEN_BYTES))) + b"".join(_parts(ordered, slice(TOKEN_BYTES, None)))


def _parts(rows: Iterable[bytes], part: slice) -> Iterator[bytes]:
    return (row[part] for row in rows)


def file_name(octets: bytes) -> str:
    """By its content, so that browsers keep it until it changes."""
    return f"{hashlib.sha256(octets).hexdigest()[:16]}.bin"
