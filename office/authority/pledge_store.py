"""Members' signed pledges, stored as PDF files in the office's folder under their SHA-256."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing

from . import group_shared_files

FOLDER: Final = "pledges"
LIMIT: Final = 20_000_000
"""Maximum size of a pledge in bytes."""
_BEGINNING: Final = b"%PDF-"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_pdf(octets: bytes) -> None:
    """Check that the content starts like a PDF file. Raises UsageError if not."""
    if not octets.startswith(_BEGINNING):
        raise UsageError("the pledge is not a PDF file; scan it as PDF")


def store_pledge(folder: Path, octets: bytes) -> str:
    """Store a pledge's PDF and return its SHA-256.

    Raises UsageError if the content is not a PDF, or TrustError if the file cannot be written.
    """
    check_pdf(octets)
    sha256 = hashlib.sha256(octets).hexdigest()
    path = folder / FOLDER / f"{sha256}.pdf"
    with writing(path, TrustError):
        group_shared_files.write(path, octets)
    return sha256


@contextmanager
def pledge_kept_on_success(folder: Path, octets: bytes) -> Iterator[str]:
    """Store a pledge's PDF for a `with` block, which receives its SHA-256.

    If the block fails, a newly stored file is removed. The caller must hold the lock on the office's folder. Raises
    UsageError if the content is not a PDF, or TrustError if the file cannot be written.
    """
    was_there = read_pledge(folder, hashlib.sha256(octets).hexdigest()) is not None
    sha256 = store_pledge(folder, octets)
    try:
        yield sha256
    except BaseException:
        if not was_there:
            (folder / FOLDER / f"{sha256}.pdf").unlink(missing_ok=True)
        raise


def read_pledge(folder: Path, sha256: str) -> bytes | None:
    """Read a pledge's PDF, or return None if the office does not have it."""
    path = folder / FOLDER / f"{sha256}.pdf"
    return path.read_bytes() if _SHA256.fullmatch(sha256) and path.is_file() else None
