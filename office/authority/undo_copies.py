"""Copies of the registry from before each unpublished change, for undo.

The copies are files in the office's folder, named after their SHA-256.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Final

from . import group_shared_files

FOLDER: Final = "unpublished"


def store_copy(folder: Path, octets: bytes) -> None:
    """Store a copy of the registry. Raises OSError."""
    path = copy_path(folder, hashlib.sha256(octets).hexdigest())
    if not path.exists():
        group_shared_files.write(path, octets)


def copy_path(folder: Path, sha256: str) -> Path:
    return folder / FOLDER / f"{sha256}.yaml"


def delete_other_copies(folder: Path, needed: Collection[str]) -> None:
    """Delete all copies whose SHA-256 is not in `needed`. Raises OSError."""
    for path in (folder / FOLDER).glob("*.yaml"):
        if path.stem not in needed:
            path.unlink(missing_ok=True)
