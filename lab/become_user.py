"""Switches this process to another user, as systemd does for a unit, without an entry in /etc/passwd.

    python -I -S lab/become_user.py IDENTITY COMMAND…     becomes IDENTITY (JSON) and executes the command

The user may need a folder inside one that it cannot enter, such as a home folder or pytest's. In this case the process
gets its own mount namespace. There, an empty folder that shows only the needed folders covers the closed one. Other
processes do not see this, and no mode on the disk changes.

This file imports only a few modules of the standard library, because each Asterisk of the tests starts with it.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUTS: Final = 0x04000000
_MS_REC_BIND: Final = 16384 | 4096
_MS_REC_PRIVATE: Final = 16384 | 1 << 18
_PR_SET_DUMPABLE: Final = 4
_PYTESTS: Final = "pytest-of-"


class Identity(NamedTuple):
    """User of a process, with the settings of systemd's User=, Group= and UMask=, and the host name."""

    uid: int
    gid: int
    umask: int
    host_name: str = ""
    """Host name, or an empty string for the machine's own."""
    visible: tuple[str, ...] = ()
    """Folders that the process must be able to reach. Their permissions are not changed."""

    def command(self, command: Iterable[object]) -> list[str]:
        """The command that runs `command` as this user, in the same process."""
        return [sys.executable, "-I", "-S", __file__, json.dumps(self), *map(str, command)]

    def reaches(self, folder: Path) -> bool:
        """True if this user may enter `folder` itself. The folders above it are not checked."""
        status = folder.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return bool(status.st_mode >> shift & 1)

    def assume(self) -> None:
        """Become this user permanently. Raises OSError if this process may not."""
        closed: dict[Path, list[Path]] = {}
        for folder in dict.fromkeys(Path(each) for each in self.visible):
            if folder.exists() and (above := self._closed_above(folder)):
                closed.setdefault(above, []).append(folder)
        if closed or self.host_name:
            _call("unshare", (_CLONE_NEWNS if closed else 0) | (_CLONE_NEWUTS if self.host_name else 0))
        if self.host_name:
            name = self.host_name.encode()
            _call("sethostname", name, len(name))
        if closed:
            _call("mount", None, b"/", None, _MS_REC_PRIVATE, None)
        for above, needed in closed.items():
            _show_only(above, needed)
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        os.umask(self.umask)
        # Without this, /proc/self of a process that executes no other program would belong to root.
        _call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)

    def _closed_above(self, folder: Path) -> Path | None:
        """The topmost folder above `folder` that this user cannot enter, or None if there is no such folder.

        A folder of pytest counts as closed, because each start of pytest closes it again.
        """
        parents = reversed(folder.parents)
        return next((each for each in parents if each.name.startswith(_PYTESTS) or not self.reaches(each)), None)


def _show_only(closed: Path, needed: list[Path]) -> None:
    """Cover `closed` with an open folder that shows only the `needed` folders below it."""
    held = [(os.open(folder, os.O_PATH), folder) for folder in needed]
    _call("mount", b"lab", bytes(closed), b"tmpfs", 0, b"mode=755")
    for descriptor, folder in held:
        if not folder.exists():  # an earlier folder of the list may contain it
            folder.mkdir(parents=True)
            _call("mount", f"/proc/self/fd/{descriptor}".encode(), bytes(folder), None, _MS_REC_BIND, None)
        os.close(descriptor)


_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


if __name__ == "__main__":
    os.umask(0o022)
    given = json.loads(sys.argv[1])
    Identity(*given[:4], tuple(given[4])).assume()
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # a shell would not preserve the arguments
