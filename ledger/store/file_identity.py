"""The identity of a ledger's file on its machine, which distinguishes it from copies."""

import fcntl
import os
from array import array
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from .meta import HOME, SET_META
from .sqlite import connect_for_writing

_MACHINE: Final = Path("/etc/machine-id")
_GET_GENERATION: Final = 0x80087601
"""FS_IOC_GETVERSION (linux/fs.h), which reads the generation number that a file system assigns to each new file.

The number distinguishes a new file from a deleted one with the same inode number.
"""


def identity_of(descriptor: int) -> str:
    """Identity of an open file, which no copy of the file shares.

    The identity survives writes and renames on the same disk. Two kinds of copies are not detected: a copy written over
    the file itself, and a copy of an entire disk. Raises OSError.
    """
    machine = ""
    with suppress(OSError, ValueError):
        machine = _MACHINE.read_text("ascii").strip()
    generation = array("q", [0])
    with suppress(OSError):  # a file system without such numbers
        fcntl.ioctl(descriptor, _GET_GENERATION, generation)
    return f"{machine} {os.fstat(descriptor).st_ino} {generation[0] & 0xFFFFFFFF}"


def record_identity(path: Path) -> None:
    """Record a restored copy as the ledger's own file. Use this when the original is gone.

    No other process may write to the file meanwhile. Raises OSError and sqlite3.Error.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with closing(connect_for_writing(path)) as connection:
            connection.execute(SET_META, (HOME, identity_of(descriptor)))
    finally:
        os.close(descriptor)
