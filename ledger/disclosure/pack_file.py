"""Reads and writes evidence packs as ZIP files.

The same pack always produces the same file, and a hostile file cannot exhaust the memory.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from idtone.core.errors import LedgerError
from idtone.core.files import draft, writing

from ..keys.private_files import PRIVATE_FILE

FILES_LIMIT: Final = 65_535
"""Maximum number of files that a ZIP file can list without extensions."""
BYTES_LIMIT: Final = 512 * 2**20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Earliest time that a ZIP file can represent."""
_LOCAL, _LISTED, _END = 30, 46, 22
"""Lengths in octets, without names, of a file's header, a directory entry and the end record (APPNOTE 4.3)."""
_UTF8: Final = 0x800
"""The flag for UTF-8 file names."""


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an evidence pack as a ZIP file that only its owner can read.

    An existing file is replaced in one step. Raises LedgerError.
    """
    if len(files) > FILES_LIMIT:
        raise LedgerError(
            "{path}: a pack holds {files_limit:,} files at most; export fewer calls at a time",
            path=path,
            files_limit=FILES_LIMIT,
        )
    with writing(path, LedgerError, is_choice=True), draft(path, PRIVATE_FILE) as new:
        _write(new.file, files)
        new.put()


def zip_octets(files: Mapping[str, bytes]) -> bytes:
    """Contents of the ZIP file that `write_zip` writes."""
    made = io.BytesIO()
    _write(made, files)
    return made.getvalue()


def _write(file: IO[bytes], files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)


def read_zip(path: Path, limit: int = BYTES_LIMIT) -> dict[str, bytes]:
    """Read the files of an evidence pack.

    `limit` is the maximum size in bytes of the ZIP file and of its unpacked contents. Raises LedgerError if the file is
    not a pack.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries, size = archive.infolist(), path.stat().st_size
            names = [entry.filename for entry in entries]
            if len(entries) > FILES_LIMIT or max(size, sum(entry.file_size for entry in entries)) > limit:
                raise LedgerError("{path}: is larger than any pack; it is not read", path=path)
            if len(set(names)) < len(names):
                raise LedgerError("{path}: holds two files of one name; it is not what was sealed", path=path)
            found = _whole(path.read_bytes(), entries)
    except OSError as error:
        raise LedgerError("{path}: cannot be read: {reason}; name a pack", path=path, reason=error.strerror) from error
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, LookupError, EOFError) as error:
        raise LedgerError("{path}: is not a pack, or is damaged: {error}", path=path, error=error) from error
    if found is None:
        raise LedgerError("{path}: holds octets that belong to none of its files; it is not what was sealed", path=path)
    return found


def _whole(octets: bytes, entries: Sequence[zipfile.ZipInfo]) -> dict[str, bytes] | None:
    """The files of a ZIP file laid out as `write_zip` writes it; None for any other ZIP file.

    That layout consists only of the files, followed by their list.

    Raises zipfile.BadZipFile if a file differs from the list.
    """
    found: dict[str, bytes] = {}
    position = 0
    for entry in entries:
        name = _octets(entry)
        begin = position + _LOCAL + len(name)
        end = begin + entry.compress_size
        is_plain = not entry.flag_bits & ~_UTF8 and entry.compress_type == zipfile.ZIP_DEFLATED
        if entry.header_offset != position or not is_plain or entry.extra or entry.comment:
            return None
        if octets[position:begin] != _header(entry):
            return None
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflating.decompress(octets[begin:end], entry.file_size + 1)
        if inflating.unused_data or inflating.unconsumed_tail:
            return None
        if not inflating.eof or len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile(f"{entry.filename} is not what the list says")
        found[entry.filename] = content
        position = end
    listed, count = sum(_LISTED + len(_octets(entry)) for entry in entries), len(entries)
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, listed, position, 0)
    return found if len(octets) == position + listed + _END and octets.endswith(ending) else None


def _header(entry: zipfile.ZipInfo) -> bytes:
    """The header that a file must have according to the list.

    It ensures that programs that read file by file find the same files as programs that read the list.
    """
    year, month, day, hour, minute, second = entry.date_time
    date, time = (year - 1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | second // 2
    name = _octets(entry)
    return (
        struct.pack(
            "<4s5H3L2H",
            b"PK\3\4",
            entry.extract_version,
            entry.flag_bits & _UTF8,
            zipfile.ZIP_DEFLATED,
            time,
            date,
            entry.CRC,
            entry.compress_size,
            entry.file_size,
            len(name),
            0,
        )
        + name
    )


def _octets(entry: zipfile.ZipInfo) -> bytes:
    """The entry's name, as stored in the file."""
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
