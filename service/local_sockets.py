"""Unix sockets for the service's user, root and optionally a group."""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from idtone.core.errors import UsageError

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
WAITING: Final = 8
"""Maximum number of connections that may wait."""


@contextmanager
def listening_socket(
    path: Path, kind: socket.SocketKind, group: int | None = None, waiting: int = WAITING
) -> Iterator[socket.socket]:
    """Listen on a Unix socket, replacing an earlier instance's socket. Raises OSError.

    Members of `group` may also connect. `waiting` is the maximum number of pending connections.
    """
    with socket.socket(socket.AF_UNIX, kind) as listener, _short(path) as name:
        path.unlink(missing_ok=True)
        listener.bind(name)
        path.chmod(0o600)
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
        listener.listen(waiting)
        listener.setblocking(False)
        yield listener


@contextmanager
def connected_socket(
    path: Path, kind: socket.SocketKind, within_s: float | None = None
) -> Iterator[socket.socket | None]:
    """Connect to the instance listening at `path`; None if there is none.

    `within_s` is the timeout for each operation. Raises UsageError, including if a user other than the service's is or
    could be listening at `path`.
    """
    with socket.socket(socket.AF_UNIX, kind) as end:
        end.settimeout(within_s)
        try:
            with _short(path) as name:
                end.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            yield None
            return
        except OSError as error:
            raise UsageError(
                "{path}: the running instance cannot be reached: {reason}; run this as the same user",
                path=path,
                reason=error.strerror,
            ) from error
        if not is_trusted_peer(end, _owner(path.parent)):
            raise UsageError(
                "{path}: a process of another user (id {user}) listens there, so its answer is not used; "
                "find it (ss -xlp) and end it, then: systemctl restart idtone",
                path=path,
                user=_peer(end),
            )
        yield end


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Short path for a socket, because the kernel limits socket paths to 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _owner(folder: Path) -> int:
    """The folder's owner. Root accepts only this user's instance in the folder. Raises UsageError.

    A user who could put a socket into the folder or replace the folder could answer root in the service's name. A fleet
    upgrade would then continue although this node is not serving. Therefore, only the owner and root may have write
    access to the folder and its parents. In a sticky folder such as /tmp, other users cannot replace a file or folder.
    """
    if os.geteuid() != 0:
        return 0
    folder = folder.resolve()
    owner = folder.stat().st_uid
    for each in (folder, *folder.parents) if owner else ():
        status = each.stat()
        sticky = each != folder and status.st_mode & stat.S_ISVTX
        if status.st_uid not in (0, owner) or (status.st_mode & _OTHERS_WRITE and not sticky):
            raise UsageError(
                "{folder}: other users can write there, so root does not trust the service's socket below it; run: "
                "chmod go-w {folder}; or run this as the service's user",
                folder=each,
            )
    return owner


def is_trusted_peer(end: socket.socket, other: int = 0) -> bool:
    """True if the peer runs as this process's user, as root, or as `other`."""
    return _peer(end) in (0, other, os.geteuid())


def _peer(end: socket.socket) -> int:
    _, user, _ = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)
