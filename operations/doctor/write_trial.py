"""Tests whether the service can write files where Asterisk reads them.

The trial creates a file, replaces it and removes it. Checking modes and owners is not enough: a user outside the
folder's group cannot give a file to that group, systemd can make a folder read-only for the service, and a file system
can have rules of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from idtone.core.files import replace_durably
from idtone.core.translation import Message

if TYPE_CHECKING:  # importing the findings would take half of the time of a trial by another user
    from .shared_file_findings import Identity

TIMEOUT_S: Final = 5.0
_PREFIX: Final = ".idtone-doctor-"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder to write a file into, the file's mode, and the folder whose group it gets."""

    folder: Path
    mode: int
    group_of: Path


class NotTriedError(Exception):
    """The trial was not possible. The error's text says why."""


def trial(place: Place, who: Identity, process: int | None = None) -> int:
    """The errno with which a process fails to create or replace a file; 0 if both succeed.

    `process` is the service's process id if it is running. The trial then uses that process's mounts. Raises
    NotTriedError.
    """
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    if user not in (0, who.user):
        raise NotTriedError(Message("this is not the service's user"))
    if user and groups != who.groups:
        raise NotTriedError(Message("this user has other groups here than in the service"))
    if user == who.user:
        return _trial(place, process)
    groups_text = ",".join(map(str, sorted(who.groups)))
    identity = (str(who.user), str(who.group), groups_text)
    where = (str(place.folder), f"{place.mode:o}", str(place.group_of), str(process or ""))
    try:
        ended = subprocess.run(  # noqa: S603  the arguments are ours
            [sys.executable, "-I", "-m", __name__, *identity, *where],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return int(ended.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NotTriedError(Message("no process could become the user {user}", user=who.user)) from error


def _trial(place: Place, process: int | None) -> int:
    folder, group_of = (_as_seen(path, process) for path in (place.folder, place.group_of))
    path = folder / f"{_PREFIX}{secrets.token_hex(8)}"
    try:
        group = group_of.stat().st_gid
        try:
            for octets in (b"", b"\n"):
                replace_durably(path, octets, place.mode, group)
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _as_seen(path: Path, process: int | None) -> Path:
    """The path as a process's mounts show it, if the current user may read them."""
    if process is not None:
        seen = Path(f"/proc/{process}/root") / path.relative_to("/")
        with contextlib.suppress(OSError):
            seen.stat()
            return seen
    return path


def main(user: str, group: str, groups: str, folder: str, mode: str, group_of: str, process: str) -> None:
    """Become the service's user, make the trial, and print the errno.

    All imports must be at the beginning, because the service's user may not be able to read the modules.
    """
    os.setgroups(list(map(int, groups.split(","))))
    os.setgid(int(group))
    os.setuid(int(user))
    print(_trial(Place(Path(folder), int(mode, 8), Path(group_of)), int(process) if process else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
