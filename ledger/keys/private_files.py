"""Files that only the service's user can read, whatever the umask is.

A file created by root gets its folder's owner, so the service can still use it.
"""

import os
from pathlib import Path
from typing import Final

from idtone.core.files import replace_durably

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


def make_parents(path: Path) -> None:
    """Create missing directories above `path`, inaccessible to other users.

    Raises OSError.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(PRIVATE_DIRECTORY, exist_ok=True)
        os.chown(parent, owner_in(parent.parent), -1)


def open_private(path: Path) -> int:
    """Open a file for reading and writing, and return its descriptor.

    A missing file is created. Raises OSError.
    """
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
    """Create an empty file. An existing file stays unchanged.

    Raises OSError.
    """
    os.close(open_private(path))


def replace_private(path: Path, octets: bytes) -> None:
    """Replace a file atomically, and create any missing directories.

    After an OSError, the file is unchanged.
    """
    make_parents(path)
    replace_durably(path, octets, PRIVATE_FILE, owner=owner_in(path.parent))


def owner_in(folder: Path) -> int:
    """User id that will own new files in a folder; -1 for the current user.

    Raises OSError.
    """
    return folder.stat().st_uid if os.geteuid() == 0 else -1
