"""Binary files for compiled tables, with a header, JSON lines, arrays of numbers and a checksum.

Only a machine with the same byte order can read such a file. The file is not signed, so other users must not be able to
write it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from mmap import mmap
from typing import Any, Final

_DIGEST: Final = hashlib.sha256().digest_size
_PIECE: Final = 2**18
"""Octets of an array to copy in one step. No other thread runs during the copy, so the event loop has to wait."""
_LENGTH: Final = 8
"""Size in octets of the field at the start of the body, which holds the length of the text."""


def packed_table(magic: bytes, head: dict[str, Any], lines: Iterable[Any], arrays: Sequence[array[int]]) -> bytes:
    """Pack a table into bytes that `unpacked_table` can read.

    `magic` identifies the kind of table and its format version.
    """
    return b"".join(packed_parts(magic, head, lines, arrays))


def packed_parts(
    magic: bytes, head: dict[str, Any], lines: Iterable[Any], arrays: Sequence[array[int]]
) -> list[bytes | memoryview]:
    """Pack a table into several byte blocks without copying the arrays.

    Lines given as bytes must already be JSON.
    """
    head = {"order": sys.byteorder, "arrays": [[each.typecode, len(each)] for each in arrays], **head}
    text = b"".join(b"%b\n" % _json(line) for line in (head, *lines))
    body: list[bytes | memoryview] = [len(text).to_bytes(_LENGTH, "big"), text]
    body += (memoryview(each).cast("B") for each in arrays if each)
    digest = hashlib.sha256()
    for part in body:
        digest.update(part)
    return [magic, digest.digest(), *body]


def _json(line: Any) -> bytes:
    return line if isinstance(line, bytes) else json.dumps(line).encode("ascii")


def unpacked_table(
    magic: bytes, octets: bytes | mmap, what: str
) -> tuple[dict[str, Any], Iterator[bytes], Iterator[array[int]]]:
    """Unpack a table's header, lines and arrays.

    Lines and arrays are read lazily, so that other threads can run in between. `what` names the kind of table in error
    messages. Raises ValueError if `octets` is not a table from `packed_table`.
    """
    begin = len(magic) + _DIGEST
    body = memoryview(octets)[begin:]
    if octets[: len(magic)] != magic or hashlib.sha256(body).digest() != octets[len(magic) : begin]:
        raise ValueError(f"this is no compiled {what}")
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "big")
    lines = _lines(octets, begin + _LENGTH, begin + end)
    head = json.loads(next(lines))
    if head["order"] != sys.byteorder:
        raise ValueError(f"this {what} was compiled on another kind of machine")
    return head, lines, _arrays(body[end:], head["arrays"])


def _lines(octets: bytes | mmap, at: int, end: int) -> Iterator[bytes]:
    """Yield the lines one by one, because splitting a large table in one step would block the event loop."""
    while at < end:
        stop = octets.find(b"\n", at, end)
        if stop < 0:
            raise ValueError("a line is missing")
        yield octets[at:stop]
        at = stop + 1


def _arrays(body: memoryview, kinds: Iterable[Sequence[Any]]) -> Iterator[array[int]]:
    for typecode, length in kinds:
        values: array[int] = array(typecode)
        octets = length * values.itemsize
        for at in range(0, octets, _PIECE):
            values.frombytes(body[at : min(at + _PIECE, octets)])
        yield values
        body = body[octets:]
