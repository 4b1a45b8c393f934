"""The identity of a ledger's file on its machine. A copy with the same content has another identity. I/O."""

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
"""FS_IOC_GETVERSION (linux/fs.h). It reads a number that a file system gives to each new file. The number distinguishes
a new file from a removed one with the same inode number.
"""


def identity_of(descriptor: int) -> str:
    """An identity of an open file. Writing the file, or renaming it on its disk, does not change it. A copy of the file
    has another identity.

    Two kinds of copies cannot be recognised: one that was written over this very file, and the copy of a whole disk.
    Raises OSError.
    """
    machine = ""
    with suppress(OSError, ValueError):
        machine = _MACHINE.read_text("ascii").strip()
    generation = array("q", [0])
    with suppress(OSError):  # a file system without such numbers
        fcntl.ioctl(descriptor, _GET_GENERATION, generation)
    return f"{machine} {os.fstat(descriptor).st_ino} {generation[0] & 0xFFFFFFFF}"


def record_identity(path: Path) -> None:
    """Record this file as the ledger's own file, because the original is gone. Nothing may write to it meanwhile.
    Raises OSError and sqlite3.Error.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with closing(connect_for_writing(path)) as connection:
            connection.execute(SET_META, (HOME, identity_of(descriptor)))
    finally:
        os.close(descriptor)
