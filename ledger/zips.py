"""Packs as ZIP files: the same pack is the same file, and one from strangers cannot fill the memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from idtone.errors import LedgerError
from idtone.files import draft

from .private_files import PRIVATE_FILE

FILES_LIMIT: Final = 100_000
BYTES_LIMIT: Final = 512 * 2**20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can tell."""
_LOCAL, _LISTED, _END = 30, 46, 22
"""Octets of what stands before each file, for each in the list, and behind that, besides names (APPNOTE 4.3)."""
_UTF8: Final = 0x800
"""The flag that says how a name is written."""


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Replaced in one step, readable to its owner alone. Raises LedgerError."""
    try:
        with draft(path, PRIVATE_FILE) as new:
            with zipfile.ZipFile(new.file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
            new.put()
    except OSError as error:
        raise LedgerError(f"{path}: cannot be written: {error.strerror}; name another file") from error


def read_zip(path: Path) -> dict[str, bytes]:
    """Raises LedgerError where it is no pack."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(entries) > FILES_LIMIT or sum(entry.file_size for entry in entries) > BYTES_LIMIT:
                raise LedgerError(f"{path}: is larger than any pack; it is not read")
            if not _is_whole(path, archive):
                raise LedgerError(f"{path}: holds octets that belong to none of its files; it is not what was sealed")
            if len(set(names)) < len(names):
                raise LedgerError(f"{path}: holds two files of one name; it is not what was sealed")
            return {entry.filename: archive.read(entry) for entry in entries}
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {error.strerror}; name a pack") from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise LedgerError(f"{path}: is not a pack, or is damaged: {error}") from error


def _is_whole(path: Path, archive: zipfile.ZipFile) -> bool:
    """Whether there is nothing in the file but what `write_zip` writes: one file behind the other, and their list."""
    entries, position = archive.infolist(), 0
    for entry in entries:
        if entry.header_offset != position or entry.extra or entry.comment:
            return False
        position += _LOCAL + len(_octets(entry)) + entry.compress_size
    listed = sum(_LISTED + len(_octets(entry)) for entry in entries)
    return path.stat().st_size == position + listed + _END


def _octets(entry: zipfile.ZipInfo) -> bytes:
    """Its name as it stands there."""
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
