"""Ogg pages (RFC 3533) with a fixed serial number, so that a file always has the same bytes."""

import struct
import zlib
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct("<4sBBqIIIB")
_SERIAL_AT: Final = 14
_CHECKSUM_AT: Final = 22
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def set_serial_number(file: BinaryIO, serial: int) -> None:
    """Replace the serial number of a file's only stream, which libsndfile takes from the clock.

    Raises ValueError if the file does not consist of Ogg pages.
    """
    file.seek(0)
    while header := file.read(_HEADER.size):
        mark, *_, segments = _HEADER.unpack(header)
        if mark != b"OggS":
            raise ValueError("not an Ogg page")
        lacing = file.read(segments)
        page = bytearray(header + lacing + file.read(sum(lacing)))
        struct.pack_into("<I", page, _SERIAL_AT, serial)
        struct.pack_into("<I", page, _CHECKSUM_AT, 0)
        struct.pack_into("<I", page, _CHECKSUM_AT, checksum(page))
        file.seek(-len(page), 1)
        file.write(page)
        file.seek(0, 1)


def checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: zlib's polynomial with reversed bits, without inversion at either end."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")
