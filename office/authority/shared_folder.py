"""Files and folders that the office writes: private, or shared by the accounts of one group.

Each person has an account, because the history names it. So the folder belongs to a group: `chgrp -R office FOLDER;
chmod -R g+rwX FOLDER; find FOLDER -type d -exec chmod g+s {} +`. Then the other accounts can read and replace what one
writes, independently of its umask.
"""

import stat
from pathlib import Path
from typing import Final

from idtone.core.files import replace_durably

_SHARED: Final = stat.S_ISGID | stat.S_IWGRP


def file_mode(folder: Path) -> int:
    """Mode of a file in the folder: 0660 in a folder that a group shares, otherwise 0600. Raises OSError."""
    return 0o660 if _is_shared(folder) else 0o600


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Create a missing folder with `mode`, and with the group's rights if the folder above it is shared. Raises
    OSError.
    """
    if folder.exists():
        return
    if not folder.parent.exists():
        make_folder(folder.parent, mode)
    folder.mkdir(exist_ok=True)
    folder.chmod(mode | 0o070 | stat.S_ISGID if _is_shared(folder.parent) else mode)


def rewrite(path: Path, octets: bytes) -> None:
    """The same as `write`, for an existing file: it keeps its group and its group's rights; others get none."""
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode) & 0o770 | file_mode(path.parent)
    replace_durably(path, octets, mode, status.st_gid)


def write(path: Path, octets: bytes) -> None:
    """Replace or create a file of the office, with its folder. Raises OSError, and then nothing has changed."""
    make_folder(path.parent)
    replace_durably(path, octets, file_mode(path.parent))


def _is_shared(folder: Path) -> bool:
    return folder.stat().st_mode & _SHARED == _SHARED
