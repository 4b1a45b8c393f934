"""Reads the machine's state: files, ports, processes, host names and the clock.

The functions change nothing and take no locks.
"""

import contextlib
import grp
import os
import pwd
import re
import socket
import stat
import threading
import time
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from idtone.dialplan import HOOK_FILE
from idtone.ledger.writing.clock_status import kernel_status
from idtone.service.systemd import unit_properties

from .asterisk_findings import Address
from .ledger_findings import FreeSpace
from .shared_file_findings import Identity, Rights

_PROC: Final = Path("/proc")
_LISTEN: Final = "0A"
_CONF_LIMIT: Final = 500
"""Maximum number of files in a configuration folder that are searched for the hook's #include."""


def read_text(path: Path) -> tuple[str | None, str]:
    """Read a file as text; (None, reason) if it cannot be read.

    The reason is empty for a missing file.
    """
    try:
        return path.read_text("utf-8", "surrogateescape"), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, error.strerror or type(error).__name__


def mode_and_owner(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return stat.S_IMODE(status.st_mode), status.st_uid


def rights(path: Path) -> Rights:
    """A file's or folder's mode and owners.

    Raises OSError.
    """
    status = path.stat()
    listed = "system.posix_acl_access" in os.listxattr(path)
    return Rights(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, listed)


def rights_in(folder: Path) -> list[Rights]:
    """Modes and owners of a folder and everything in it; empty if it does not exist.

    Raises OSError.
    """
    walked = os.walk(folder, onerror=_ignore_missing)
    found = []
    for path in (folder, *(Path(place, name) for place, below, files in walked for name in (*below, *files))):
        with contextlib.suppress(FileNotFoundError):  # the service has replaced it meanwhile
            found.append(rights(path))
    return found


def _ignore_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def content(path: Path) -> bytes | None:
    """A file's content; None if it does not exist.

    Raises OSError for other errors.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def files_including_hook(folder: Path) -> list[Path] | None:
    """Files in Asterisk's folder and its immediate subfolders that include the hook.

    Returns None if no readable file includes the hook but some files cannot be read.
    """
    wanted = re.compile(rf'^\s*#(?:try)?include\s+["<]?(?:\S*/)?{re.escape(HOOK_FILE)}[">]?\s*(?:;.*)?$', re.MULTILINE)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return None
    found, closed = [], False
    for path in [*sorted(folder.glob("*.conf")), *sorted(folder.glob("*/*.conf"))][:_CONF_LIMIT]:
        if path.name == HOOK_FILE:
            continue
        try:
            if wanted.search(path.read_text("utf-8", "replace")):
                found.append(path)
        except OSError:
            closed = True
    return None if closed and not found else found


def free_space(path: Path) -> FreeSpace:
    """Free space at a path, or at its nearest existing parent folder.

    Raises OSError.
    """
    found = os.statvfs(nearest_existing(path))
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    return FreeSpace(free * found.f_frsize, found.f_favail if found.f_files else None)


def exists(path: Path) -> bool:
    """True if the file or folder exists.

    Raises OSError if that cannot be determined.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def nearest_existing(path: Path) -> Path:
    """The path itself, or its nearest existing parent folder.

    Raises OSError.
    """
    path = path.absolute()
    return next(place for place in (path, *path.parents) if exists(place))


def folders_above(folder: Path) -> list[Path]:
    """A folder's existing parent folders, starting at the root.

    Raises OSError.
    """
    nearest = nearest_existing(folder.parent)
    return [*reversed(nearest.parents), nearest]


def size(path: Path) -> int | None:
    """Number of bytes that a file occupies on disk; None if it does not exist or cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return min(status.st_size, 512 * status.st_blocks)  # holes of a sparse file occupy nothing


def is_wal(path: Path) -> bool:
    """True if an SQLite file's header shows WAL mode (sqlite.org/fileformat.html)."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\x02\x02"
    except OSError:
        return False


def listening_addresses(port: int) -> list[Address] | None:
    """Local addresses on which a TCP port is open; None if /proc cannot be read."""
    found: list[Address] = []
    try:
        for table in ("tcp", "tcp6"):
            path = _PROC / "net" / table
            if table == "tcp" or path.exists():
                found += _listening(path.read_text("ascii"), port)
    except OSError:
        return None
    return found


def _listening(table: str, port: int) -> Iterator[Address]:
    for line in table.splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, _, number = local.partition(":")
        if state == _LISTEN and int(number, 16) == port:
            words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
            packed = b"".join(words)
            yield IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def identity_by_pid_file(pid_file: Path) -> Identity | None:
    """User and groups of the process in a pid file; None if there is no such process."""
    process = pid_in(pid_file)
    return None if process is None else process_identity(process)


def pid_in(pid_file: Path) -> int | None:
    """Process id in a pid file; None if the file does not exist."""
    text, _ = read_text(pid_file)
    return int(text) if text is not None and text.strip().isdecimal() else None


def process_file(process: int, what: str) -> str:
    """Content of the file /proc/PID/`what`; empty if it cannot be read."""
    return read_text(_PROC / str(process) / what)[0] or ""


def process_identity(process: int) -> Identity | None:
    """User and groups of a process; None if there is no such process."""
    status, _ = read_text(_PROC / str(process) / "status")
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status or "", re.MULTILINE))
    if not {"Uid", "Gid", "Groups"} <= fields.keys():
        return None
    effective = 1
    group = int(fields["Gid"].split()[effective])
    groups = {group, *map(int, fields["Groups"].split())}
    return Identity(int(fields["Uid"].split()[effective]), frozenset(groups), group)


def account_identity(user: str | int, group: str = "", more: Collection[str] = ()) -> Identity | None:
    """User and groups that a program run as `user` has; None if the user or a group does not exist.

    `group` is the primary group, and `more` are supplementary groups.
    """
    try:
        entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
        primary = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        others = {grp.getgrnam(name).gr_gid for name in more}
    except KeyError:
        return None
    return Identity(entry.pw_uid, frozenset({primary, *os.getgrouplist(entry.pw_name, primary), *others}), primary)


def user_name(user: int) -> str:
    """The user as an argument for `chown`: the name, or the number if there is no name."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def group_name(group: int) -> str:
    """The group as an argument for `chgrp`: the name, or the number if there is no name."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def is_open(path: Path) -> bool | None:
    """True if a process has the file open; None if that cannot be determined.

    It cannot be determined if a process of `idtone serve` could not be read. Trying the lock is no alternative, because
    that could stop a service that is just starting.
    """
    try:
        process, hidden = _holder(path)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True if process else None if hidden else False


def holder(path: Path) -> int | None:
    """Process id of a process that has the file open; None if none was found."""
    try:
        return _holder(path)[0]
    except OSError:
        return None


def _holder(path: Path) -> tuple[int | None, bool]:
    """Id of a process that has the file open, and True if some process could not be read.

    Raises OSError.
    """
    wanted = path.stat()
    hidden = False
    for process in _PROC.glob("[0-9]*"):
        try:
            with os.scandir(process / "fd") as descriptors:
                for descriptor in descriptors:
                    found = descriptor.stat()
                    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                        return int(process.name), False
        except PermissionError:
            command, _ = read_text(process / "cmdline")
            hidden = hidden or "serve" in (command or "").split("\0")
        except OSError:
            continue  # the process or the file has ended meanwhile
    return None, hidden


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def look_up(host: str, deadline_s: float) -> tuple[float, bool]:
    """Seconds that a host name lookup took, and True if it succeeded.

    The lookup takes at most `deadline_s`.
    """
    resolved = threading.Event()
    ended = threading.Event()

    def resolve() -> None:
        try:
            socket.getaddrinfo(host, None)
            resolved.set()
        except (OSError, UnicodeError):
            pass  # the name does not resolve, which is a result
        finally:
            ended.set()

    started_s = time.monotonic()
    threading.Thread(target=resolve, daemon=True).start()
    ended.wait(deadline_s)
    return time.monotonic() - started_s, resolved.is_set()


def clock_is_synchronised() -> bool | None:
    """True if the kernel's clock is synchronised; None if adjtimex(2) fails."""
    found = kernel_status().get("synchronised")
    return None if found is None else bool(found)


def watchdog(unit: str, deadline_s: float) -> str | None:
    """A unit's WatchdogUSec in systemd; None if systemd is not running."""
    shown = unit_properties(unit, ("WatchdogUSec",), deadline_s)
    return None if shown is None else shown.get("WatchdogUSec", "")


def unit_account(unit: str, deadline_s: float) -> Identity | None:
    """User and groups with which systemd starts a unit; None if the unit or the user does not exist."""
    shown = unit_properties(unit, ("LoadState", "User", "Group", "SupplementaryGroups"), deadline_s)
    if shown is None or shown.get("LoadState") != "loaded":
        return None
    return account_identity(
        shown.get("User") or 0, shown.get("Group", ""), shown.get("SupplementaryGroups", "").split()
    )
