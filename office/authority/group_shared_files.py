"""Writes the office's files and folders, either private or shared within a Unix group.

The history names accounts, so each person has one. To share the folder, give it to a group with the commands in
docs/authority.md. Then all accounts in the group can read and replace each other's files, whatever their umask. The
desk's ledger and its key stay private.
"""

import os
import stat
from pathlib import Path
from typing import Final

from idtone.core import files
from idtone.core.files import replace_durably

_SHARED: Final = stat.S_ISGID | stat.S_IWGRP


def file_mode(folder: Path) -> int:
    """Mode for a new file: 0660 if a group shares the folder, otherwise 0600. Raises OSError."""
    return 0o660 if _is_shared(folder) else 0o600


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Create a folder and its parents with `mode` if missing. In a shared parent, the group gets the same rights.

    Raises OSError.
    """
    if folder.exists():
        return
    if not folder.parent.exists():
        make_folder(folder.parent, mode)
    files.make_folder(folder, mode | 0o070 if _is_shared(folder.parent) else mode)


def rewrite(path: Path, octets: bytes) -> None:
    """Replace an existing file, keeping its group and the group's rights. Other users get no rights.

    If this account may not give files to that group, for example because root saved the file, the file gets a new
    file's group.
    """
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode) & 0o770 | file_mode(path.parent)
    may_give = os.geteuid() == 0 or status.st_gid in (os.getegid(), *os.getgroups())
    replace_durably(path, octets, mode, status.st_gid if may_give else -1)


def write(path: Path, octets: bytes) -> None:
    """Write a file, creating its folder if needed. Raises OSError without changing anything."""
    make_folder(path.parent)
    replace_durably(path, octets, file_mode(path.parent))


def _is_shared(folder: Path) -> bool:
    return folder.stat().st_mode & _SHARED == _SHARED
