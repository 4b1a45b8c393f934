"""Packs Opus packets into Ogg files and extracts them (RFC 3533, RFC 7845).

With such files, libsndfile can encode and decode the packets.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_PAGE: Final = struct.Struct("<4sBBqIIIB")
"""Header of a page: magic, version, flags, granule position, serial, page number, checksum, number of segments."""
_CHECKSUM_AT: Final = 22
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_FRAME_TICKS: Final = 960
"""Ticks of a packet: 20 ms at the Opus clock rate of 48 kHz."""
_HEADS: Final = (
    b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0),
    b"OpusTags" + struct.pack("<II", 0, 0),
)


def mux(packets: Sequence[bytes]) -> bytes:
    """An Ogg file with one channel, made of packets of 20 ms.

    The file has no pre-skip, so the encoder's delay is audible.
    """
    pages = [(head, 0) for head in _HEADS]
    pages += [(packet, _FRAME_TICKS * number) for number, packet in enumerate(packets, 1)]
    flags = {0: _FIRST, len(pages) - 1: _LAST}
    return b"".join(
        _page(packet, granule, number, flags.get(number, 0)) for number, (packet, granule) in enumerate(pages)
    )


def demux(data: bytes) -> list[bytes]:
    """The packets of an Ogg file with one stream, without the two Opus headers. Raises ValueError."""
    packets, begun = [], b""
    for piece, ends in _pieces(data):
        begun += piece
        if ends:
            packets.append(begun)
            begun = b""
    return packets[len(_HEADS) :]


def _pieces(data: bytes) -> Iterator[tuple[bytes, bool]]:
    at = 0
    while at < len(data):
        magic, *_, count = _PAGE.unpack_from(data, at)
        if magic != b"OggS":
            raise ValueError(f"no Ogg page at {at}")
        lengths = data[at + _PAGE.size : at + _PAGE.size + count]
        at += _PAGE.size + count
        for length in lengths:
            yield data[at : at + length], length < 255
            at += length


def _page(packet: bytes, granule: int, number: int, flags: int) -> bytes:
    lengths = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = _PAGE.pack(b"OggS", 0, flags, granule, 1, number, 0, len(lengths))
    page = head + lengths + packet
    return page[:_CHECKSUM_AT] + struct.pack("<I", checksum(page)) + page[_CHECKSUM_AT + 4 :]


def _table() -> Iterable[int]:
    for octet in range(256):
        remainder = octet << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x104C11DB7 if remainder & 0x80000000 else 0)
        yield remainder


_REMAINDERS: Final = tuple(_table())


def checksum(page: bytes) -> int:
    """Checksum of a page whose checksum field is zero: polynomial 0x04C11DB7, neither reflected nor inverted."""
    remainder = 0
    for octet in page:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ _REMAINDERS[remainder >> 24 ^ octet]
    return remainder
