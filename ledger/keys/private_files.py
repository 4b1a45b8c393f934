"""Files that only the service's own user may read, with any umask.

If root makes them, by a command while the service is down, they get the owner of their folder. Otherwise the service
could not use them.
"""

import os
from pathlib import Path
from typing import Final

from idtone.core.files import replace_durably

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


def make_parents(path: Path) -> None:
    """Make the missing directories above `path`, each closed to others. Raises OSError."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(PRIVATE_DIRECTORY, exist_ok=True)
        os.chown(parent, owner_in(parent.parent), -1)


def open_private(path: Path) -> int:
    """A descriptor for reading and writing. A missing file is made. Raises OSError."""
    try:
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        os.fchown(descriptor, owner_in(path.parent), -1)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_private(path: Path) -> None:
    """Make an empty file if it is missing; an existing file is unchanged. Raises OSError."""
    os.close(open_private(path))


def replace_private(path: Path, octets: bytes) -> None:
    """Replace a file in one step, and make its missing directories. Raises OSError; then nothing has changed."""
    make_parents(path)
    replace_durably(path, octets, PRIVATE_FILE, owner=owner_in(path.parent))


def owner_in(folder: Path) -> int:
    """The owner for new files in the folder: a user's id, or -1 for the present user. Raises OSError."""
    return folder.stat().st_uid if os.geteuid() == 0 else -1
