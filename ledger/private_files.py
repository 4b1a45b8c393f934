"""Files that only the service's own user may read, whatever the umask says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


def make_parents(path: Path) -> None:
    """Make the missing directories above `path`, each closed to others. Raises OSError."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(PRIVATE_DIRECTORY, exist_ok=True)


def make_private(path: Path) -> None:
    """Make an empty file where there is none; an existing one stays as it is. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
