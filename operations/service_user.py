"""Root acts as the service's user: files of root's would lock the service out. I/O."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def become_owner(folder: Path, group_of: Path) -> None:
    """If this process is root's, it becomes the owner of `folder`, in the group of `group_of`. Of a folder that does
    not exist, the nearest one above counts.
    """
    if os.geteuid() != 0:
        return
    owner = _existing(folder).stat().st_uid
    if owner == 0:
        return
    group = _existing(group_of).stat().st_gid
    try:
        account = pwd.getpwuid(owner)
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
    except KeyError:
        groups = []
    os.setgroups([*groups, group])
    os.setgid(group)
    os.setuid(owner)
    os.umask(0o027)


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
