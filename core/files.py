"""Replaces files atomically and locks them.

Readers see either the old content or the complete new content, even after a power failure.
"""

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .errors import IdtoneError
from .translation import Message, template

READABLE: Final = 0o644
"""Mode of files that must be readable by Asterisk, which runs as another user."""
_PUBLIC_FOLDER: Final = 0o755
_umask_lock: Final = threading.Lock()
"""Held while the umask, which all threads of the process share, is changed."""
_UNREADABLE: Final = template("{path}: cannot be read: {reason}")
_UNREADABLE_CHOICE: Final = template("{path}: cannot be read: {reason}; name another file")
_UNWRITABLE: Final = template("{path}: cannot be written: {reason}")
_UNWRITABLE_CHOICE: Final = template("{path}: cannot be written: {reason}; name another file")


@dataclass(frozen=True, slots=True)
class Draft:
    """A temporary file that replaces `target` when it is complete.

    `group` and `owner` are numeric ids. A value of -1 keeps the default of a new file.
    """

    target: Path
    path: Path
    file: BinaryIO
    mode: int
    group: int
    owner: int

    def flush_to_disk(self) -> None:
        """Set the mode, owner and group and flush the file to disk. After that, only the rename can fail."""
        self.file.flush()
        os.fchmod(self.file.fileno(), self.mode)
        status = os.fstat(self.file.fileno())
        # In a folder with g+s the file has its group already, and chown could be forbidden.
        if self.group not in (-1, status.st_gid) or self.owner not in (-1, status.st_uid):
            os.fchown(self.file.fileno(), self.owner, self.group)
        os.fsync(self.file.fileno())

    def put(self) -> None:
        """Replace the target atomically."""
        self.flush_to_disk()
        os.replace(self.path, self.target)


@contextmanager
def reading(path: Path, error: type[IdtoneError], is_choice: bool = False) -> Iterator[None]:
    """Convert an OSError from reading `path` into `error`, with the path and the system's reason.

    If `is_choice` is True, a person chose the file, and the message suggests naming another file.
    """
    try:
        yield
    except OSError as fault:
        text = _UNREADABLE_CHOICE if is_choice else _UNREADABLE
        raise error(Message(text, path=path, reason=fault.strerror)) from fault


@contextmanager
def writing(path: Path | str, error: type[IdtoneError], is_choice: bool = False) -> Iterator[None]:
    """Convert an OSError from writing `path` into `error`, with the path and the system's reason.

    If `is_choice` is True, a person chose the file, and the message suggests naming another file.
    """
    try:
        yield
    except OSError as fault:
        text = _UNWRITABLE_CHOICE if is_choice else _UNWRITABLE
        raise error(Message(text, path=path, reason=fault.strerror)) from fault


@contextmanager
def writing_into(folder: Path, error: type[IdtoneError]) -> Iterator[None]:
    """Convert an OSError from writing files in `folder` into `error`, with the file's path if known."""
    try:
        yield
    except OSError as fault:
        raise error(Message(_UNWRITABLE, path=fault.filename or folder, reason=fault.strerror)) from fault


def read_octets(path: Path, error: type[IdtoneError]) -> bytes:
    """Read a whole file. An OSError is raised as `error`."""
    with reading(path, error):
        return path.read_bytes()


def read_if_there(path: Path, error: type[IdtoneError]) -> bytes | None:
    """Content of a file, or None if it does not exist. Any other OSError is raised as `error`."""
    with reading(path, error), suppress(FileNotFoundError):
        return path.read_bytes()
    return None


@contextmanager
def file_lock(lock: Path, busy: IdtoneError | None, unusable: Callable[[Path, OSError], IdtoneError]) -> Iterator[bool]:
    """Hold an exclusive file lock during the block. Yields True if the lock was obtained.

    If another process holds the lock, raises `busy`, or yields False if `busy` is None. If the lock file cannot be
    opened, raises the error from `unusable`.
    """
    import fcntl  # Windows has none, and there holders sign

    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(lock, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if busy:
                raise busy from error
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def draft(target: Path, mode: int = READABLE, group: int = -1, owner: int = -1) -> Iterator[Draft]:
    """Create a temporary file next to `target`, which is deleted at the end unless `Draft.put` was called.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield Draft(target, path, file, mode, group, owner)
    finally:
        path.unlink(missing_ok=True)


def rewrite_durably(target: Path, octets: bytes) -> None:
    """Replace an existing file atomically, keeping its mode and group. Raises OSError."""
    status = target.stat()
    replace_durably(target, octets, stat.S_IMODE(status.st_mode), status.st_gid)


def replace_durably(target: Path, octets: bytes, mode: int = READABLE, group: int = -1, owner: int = -1) -> None:
    """Write `octets` to `target` atomically. If it raises OSError, the old content remains."""
    with draft(target, mode, group, owner) as new:
        new.file.write(octets)
        new.put()


def make_folder(folder: Path, mode: int) -> None:
    """Create a folder with `mode` regardless of the umask; leave an existing one. Raises OSError.

    The folder inherits the set-group-ID bit of its parent. A chmod would lose this bit if the user is not in the
    folder's group, and fails in a unit with `RestrictSUIDSGID=yes`.
    """
    with _umask_lock:
        umask = os.umask(~mode & 0o777)
        try:
            folder.mkdir(exist_ok=True)
        finally:
            os.umask(umask)


def make_public_folder(folder: Path) -> None:
    """Create a folder and its missing parents, readable by the web server regardless of the umask. Raises OSError."""
    if not folder.exists():
        make_public_folder(folder.parent)
        folder.mkdir()
        folder.chmod(_PUBLIC_FOLDER)


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk so that new and renamed files survive a power failure. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
