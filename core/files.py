"""Replaces files atomically: a reader gets the old content or the new, never a part, also after a power failure. Also
locks files for programs that may run only once.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .errors import IdtoneError
from .translation import Message, template

READABLE: Final = 0o644
"""Mode of files that Asterisk, which runs as another user, must be able to read."""
_PUBLIC_FOLDER: Final = 0o755
_UNREADABLE: Final = template("{path}: cannot be read: {reason}")
_UNREADABLE_CHOICE: Final = template("{path}: cannot be read: {reason}; name another file")
_UNWRITABLE: Final = template("{path}: cannot be written: {reason}")
_UNWRITABLE_CHOICE: Final = template("{path}: cannot be written: {reason}; name another file")


@dataclass(frozen=True, slots=True)
class Draft:
    """A new file beside `target` that is going to replace `target`. `file` can be written and read. `group` and `owner`
    are ids; -1 keeps the default of a new file there.
    """

    target: Path
    path: Path
    file: BinaryIO
    mode: int
    group: int
    owner: int

    def flush_to_disk(self) -> None:
        """Set mode, owner and group, and flush the file to the disk. Afterwards only the rename can fail."""
        self.file.flush()
        os.fchmod(self.file.fileno(), self.mode)
        status = os.fstat(self.file.fileno())
        # In a folder with g+s the file has its group already, and chown could be forbidden.
        if self.group not in (-1, status.st_gid) or self.owner not in (-1, status.st_uid):
            os.fchown(self.file.fileno(), self.owner, self.group)
        os.fsync(self.file.fileno())

    def put(self) -> None:
        """Replace the target, in one step."""
        self.flush_to_disk()
        os.replace(self.path, self.target)


@contextmanager
def reading(path: Path, error: type[IdtoneError], is_choice: bool = False) -> Iterator[None]:
    """Turn an OSError in the block, which reads the file, into `error` with the path and the system's reason.
    `is_choice` is True if a person chose the file and can name another one.
    """
    try:
        yield
    except OSError as fault:
        text = _UNREADABLE_CHOICE if is_choice else _UNREADABLE
        raise error(Message(text, path=path, reason=fault.strerror)) from fault


@contextmanager
def writing(path: Path | str, error: type[IdtoneError], is_choice: bool = False) -> Iterator[None]:
    """Turn an OSError in the block, which writes the file, into `error`, as `reading` does."""
    try:
        yield
    except OSError as fault:
        text = _UNWRITABLE_CHOICE if is_choice else _UNWRITABLE
        raise error(Message(text, path=path, reason=fault.strerror)) from fault


@contextmanager
def writing_into(folder: Path, error: type[IdtoneError]) -> Iterator[None]:
    """Turn an OSError of a block that writes several files into `error`, with the path that the system names, else the
    folder's.
    """
    try:
        yield
    except OSError as fault:
        raise error(Message(_UNWRITABLE, path=fault.filename or folder, reason=fault.strerror)) from fault


def read_octets(path: Path, error: type[IdtoneError]) -> bytes:
    """The content of a file. Raises `error`, with the path and the system's reason."""
    with reading(path, error):
        return path.read_bytes()


def read_if_there(path: Path, error: type[IdtoneError]) -> bytes | None:
    """The content of a file; None if it does not exist. Raises `error`, as `read_octets` does."""
    with reading(path, error), suppress(FileNotFoundError):
        return path.read_bytes()
    return None


@contextmanager
def file_lock(lock: Path, busy: IdtoneError | None, unusable: Callable[[Path, OSError], IdtoneError]) -> Iterator[bool]:
    """Hold `lock` during the block, and yield True; yield False if another process holds it and no `busy` is given.
    Raises `busy` if another process holds the lock, and the error of `unusable` if the lock cannot be opened.
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
    """An empty draft of `target`, which is removed at the end unless it was `put`. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield Draft(target, path, file, mode, group, owner)
    finally:
        path.unlink(missing_ok=True)


def rewrite_durably(target: Path, octets: bytes) -> None:
    """The same as `replace_durably`, for a file that exists: it keeps its mode and group."""
    status = target.stat()
    replace_durably(target, octets, stat.S_IMODE(status.st_mode), status.st_gid)


def replace_durably(target: Path, octets: bytes, mode: int = READABLE, group: int = -1, owner: int = -1) -> None:
    """Replace `target`, or create it. Raises OSError; then nothing has changed."""
    with draft(target, mode, group, owner) as new:
        new.file.write(octets)
        new.put()


def make_public_folder(folder: Path) -> None:
    """Make a folder, and missing ones above it, readable by the web server's user with any umask. Raises OSError."""
    if not folder.exists():
        make_public_folder(folder.parent)
        folder.mkdir()
        folder.chmod(_PUBLIC_FOLDER)


def sync_folder(folder: Path) -> None:
    """Flush the folder to the disk, so that its new and renamed files survive a power failure. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
