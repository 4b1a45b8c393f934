"""Files that are put in place whole: whoever opens one meanwhile, or after a power cut, gets the old content or the
new, never a part.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

READABLE: Final = 0o644
"""Asterisk runs as another user and must read the files."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A new file beside the one whose place it is to take; `file` can be written and read. `group` and
    `owner` are their ids, -1 those that a new file gets there.
    """

    target: Path
    path: Path
    file: BinaryIO
    mode: int
    group: int
    owner: int

    def settle(self) -> None:
        """Bring all of it to the disk, so that nothing but the name can fail any more."""
        self.file.flush()
        os.fchmod(self.file.fileno(), self.mode)
        status = os.fstat(self.file.fileno())
        if self.group not in (-1, status.st_gid) or self.owner not in (
            -1,
            status.st_uid,
        ):  # a folder with g+s has done it
            os.fchown(self.file.fileno(), self.owner, self.group)
        os.fsync(self.file.fileno())

    def put(self) -> None:
        """Take the target's place, in one step."""
        self.settle()
        os.replace(self.path, self.target)


@contextmanager
def draft(target: Path, mode: int = READABLE, group: int = -1, owner: int = -1) -> Iterator[Draft]:
    """An empty draft of `target`, which goes again at the end unless it was `put`. It, too, raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield Draft(target, path, file, mode, group, owner)
    finally:
        path.unlink(missing_ok=True)


def rewrite_durably(target: Path, octets: bytes) -> None:
    """As `replace_durably`, of a file that is there, with the mode and the group that it has."""
    status = target.stat()
    replace_durably(target, octets, stat.S_IMODE(status.st_mode), status.st_gid)


def replace_durably(target: Path, octets: bytes, mode: int = READABLE, group: int = -1, owner: int = -1) -> None:
    """Raises OSError; then nothing has changed."""
    with draft(target, mode, group, owner) as new:
        new.file.write(octets)
        new.put()
