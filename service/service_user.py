"""Switches from root to the service's user, because root's files would lock the service out."""

import grp
import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.settings.settings import DEFAULT_FILE

from .systemd import unit_properties

UNIT: Final = "idtone"
SYSTEMD_S: Final = 3.0
_UMASK: Final = 0o027


@dataclass(frozen=True, slots=True)
class ServiceUser:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def become(self) -> None:
        """Switch this process to the service's user. Only root can do this."""
        os.setgroups(self.groups)
        os.setgid(self.gid)
        os.setuid(self.uid)
        os.umask(_UMASK)


def unit_user(config: Path | None) -> ServiceUser | None:
    """User of idtone's systemd unit.

    Returns None if there is no unit, its user is root, or it uses other settings.
    """
    shown = unit_properties(UNIT, ("LoadState", "User", "Group", "ExecStart"), SYSTEMD_S)
    if shown is None or shown.get("LoadState") != "loaded" or not shown.get("User"):
        return None
    if not _uses(shown.get("ExecStart", ""), (config or DEFAULT_FILE).absolute()):
        return None
    try:
        account = pwd.getpwnam(shown["User"])
    except KeyError:
        return None
    return None if account.pw_uid == 0 else _user(account, shown.get("Group", ""))


def act_as_service(
    config: Path | None, folder: Path, group_of: Path, *, whole: bool = False, make: bool = True
) -> None:
    """Switch to the service's user if root runs this process, so that new files belong to that user.

    The service's user is the unit's user. If no unit has these settings, it is the owner of `folder` or its nearest
    existing parent, in the group of `group_of`. With `make`, creates missing folders for this user.

    Raises UsageError if `folder` (with `whole`, anything in it) belongs to another user. The error names the command
    that changes the owner.
    """
    if os.geteuid() != 0:
        return
    user = unit_user(config) or _owner(folder, group_of)
    if user is None:
        return
    if folder.exists() and (foreign := next(_foreign(folder, user.uid, whole), None)):
        raise UsageError(
            "{path} does not belong to the service's user {user}, so the service cannot use it; run: chown -R "
            "{user}: {folder}; then run this again",
            path=foreign,
            user=user.name,
            folder=quote(str(folder)),
        )
    missing = [each for each in (folder, *folder.absolute().parents) if make and not each.exists()]
    for place in reversed(missing):
        place.mkdir(0o700)
        os.chown(place, user.uid, user.gid)
    user.become()


def read_as_service(config: Path | None) -> None:
    """Switch to the unit's user if root runs this process, so that it can read only what the service can."""
    if os.geteuid() == 0 and (user := unit_user(config)):
        user.become()


def refuse_root(config: Path | None) -> None:
    """Raise UsageError if root would run the service although a unit runs it as another user.

    Root's files would lock that user out.
    """
    if os.geteuid() == 0 and (user := unit_user(config)):
        raise UsageError(
            "the service runs as {user} here, and root's files would lock it out; run: systemctl start idtone",
            user=user.name,
        )


def _uses(command: str, config: Path) -> bool:
    """True if a unit's command uses these settings. systemd shows its words without quotes, also those with spaces."""
    if not re.search(" (-c|--config) ", command):
        return config == DEFAULT_FILE
    return re.search(f" (-c|--config) {re.escape(str(config))} [-;]", command) is not None


def _user(account: pwd.struct_passwd, group: str) -> ServiceUser | None:
    try:
        gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        return None
    return ServiceUser(account.pw_name, account.pw_uid, gid, tuple(os.getgrouplist(account.pw_name, gid)))


def _owner(folder: Path, group_of: Path) -> ServiceUser | None:
    """The folder's owner, in the other folder's group; None if the owner is root."""
    owner, gid = _existing(folder).stat().st_uid, _existing(group_of).stat().st_gid
    if owner == 0:
        return None
    try:
        account = pwd.getpwuid(owner)
    except KeyError:
        return ServiceUser(str(owner), owner, gid, (gid,))
    return ServiceUser(account.pw_name, owner, gid, (*os.getgrouplist(account.pw_name, account.pw_gid), gid))


def _existing(path: Path) -> Path:
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _foreign(folder: Path, uid: int, whole: bool) -> Iterator[Path]:
    """Paths that belong to another user: the folder and, with `whole`, everything in it."""
    for path in (folder, *(folder.rglob("*") if whole else ())):
        if path.lstat().st_uid != uid:
            yield path
