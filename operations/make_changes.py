"""Makes changes on the PBX, keeps copies of what they change, and puts them back if one fails. I/O.

The copies of one run are in one folder, not beside their files: an `#include` with a pattern must not find them, and
`record.json` there has what a copy cannot hold: new files, owners and modes.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from idtone.errors import ChangeError
from idtone.files import replace_durably
from idtone.translation import Message

from .asterisk_console import AsteriskConsole
from .changes import AsteriskChange, Change, FileChange, FolderChange, RightsChange

USUAL_COPIES: Final = Path("/var/backups/idtone")
"""Belongs to root. In the service's own folder the service could exchange a copy before root puts it back."""
RECORD: Final = "record.json"


@dataclass(frozen=True, slots=True)
class _Held:
    """What was there before a change: content, None for a folder or a new file, and rights, None for a new one."""

    content: bytes | None
    rights: tuple[int, int, int] | None


class Changer:
    """Makes changes, group by group."""

    def __init__(self, console: AsteriskConsole, copies: Path, now: datetime) -> None:
        self._console = console
        self.folder = copies / f"{now:%Y%m%dT%H%M%SZ}"
        """Where this run keeps copies; it exists once a file or its rights were changed."""
        self._record: list[dict[str, Any]] = []

    def make(self, group: Sequence[Change]) -> None:
        """Make all changes of a group, or none. Raises ChangeError."""
        made: list[tuple[Change, _Held | None]] = []
        path: object = ""
        try:
            for change in group:
                if isinstance(change, AsteriskChange):
                    made.append((change, None))
                    self._run(change)
                else:
                    path = change.path
                    held = _held(change.path)
                    self._keep(change, held)
                    made.append((change, held))
                    _apply(change, held)
        except BaseException as error:
            left = self._put_back(made)
            if isinstance(error, OSError):
                why = error.strerror or type(error).__name__
                reason = Message("{path}: {reason}", path=error.filename or path, reason=why)
                raise ChangeError(_with_left(reason, left)) from error
            if isinstance(error, ChangeError):
                raise ChangeError(_with_left(Message("{error}", error=error), left)) from error
            raise

    def _run(self, change: AsteriskChange) -> None:
        answer = self._console.run(change.command)
        if change.wanted not in self._console.run(change.proof):
            last = [line for line in answer.splitlines() if line.strip()][-1:] or ["…"]
            raise ChangeError(Message("{change}: {answer}", change=str(change), answer=last[0].strip()))

    def _keep(self, change: FileChange | FolderChange | RightsChange, held: _Held) -> None:
        """Copy a file that will be changed, and record what the copy does not hold. Raises ChangeError."""
        entry: dict[str, Any] = {"path": str(change.path), "rights": held.rights}
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            if isinstance(change, FileChange):
                entry["after"] = hashlib.sha256(change.after).hexdigest()
                if held.content is not None:
                    entry["copy"] = f"{len(self._record):02}-{change.path.name}"
                    replace_durably(self.folder / entry["copy"], held.content, 0o600)
            self._record.append(entry)
            replace_durably(self.folder / RECORD, json.dumps(self._record, indent=1).encode(), 0o600)
        except OSError as error:
            raise ChangeError(
                Message(
                    "{folder}: no copy can be kept there: {reason}; run this as root, or name another folder: --copies",
                    folder=self.folder,
                    reason=error.strerror,
                )
            ) from error

    def _put_back(self, made: Sequence[tuple[Change, _Held | None]]) -> list[str]:
        """Undo changes: files first, because Asterisk's commands read them. Returns what could not be undone."""
        left = []
        for change, held in reversed(made):
            if not isinstance(change, AsteriskChange) and held is not None:
                try:
                    _restore(change.path, held)
                except OSError:
                    left.append(str(change.path))
        for change, _ in reversed(made):
            if isinstance(change, AsteriskChange):
                with suppress(ChangeError):  # Asterisk does not answer, so it did nothing either
                    self._console.run(change.back)
        return left


def _with_left(reason: str, left: Sequence[str]) -> str:
    if not left:
        return Message("{reason}; everything is as before", reason=reason)
    return Message(
        "{reason}; could not be put back: {paths}; the copies have what was there",
        reason=reason,
        paths=", ".join(left),
    )


def obstacle(change: Change) -> str:
    """Why this change cannot be made without looking closer; empty if it can. Raises OSError.

    A link could lead root to a file that is not meant. A new file would lose an access control list.
    """
    if isinstance(change, AsteriskChange):
        return ""
    for place in (*reversed(change.path.absolute().parents), change.path):
        try:
            status = place.lstat()
        except FileNotFoundError:
            break
        if stat.S_ISLNK(status.st_mode) and (place == change.path or status.st_uid not in (0, os.geteuid())):
            return Message("{path} is a link", path=place)
        if place == change.path and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            return Message("{path} has several names (hard links)", path=place)
        if place == change.path and "system.posix_acl_access" in os.listxattr(place):
            return Message("{path} has an access control list", path=place)
    return ""


def is_done(change: Change) -> bool:
    """Whether a folder or file already has what the change would give it. Raises OSError, LookupError."""
    if not isinstance(change, RightsChange):
        return False
    wanted = (change.mode, _user(change.user), _group(change.group))
    held = _held(change.path).rights
    return held is not None and all(new in (None, -1, old) for new, old in zip(wanted, held, strict=True))


def _held(path: Path) -> _Held:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return _Held(None, None)
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
    return _Held(content, (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid))


def _apply(change: FileChange | FolderChange | RightsChange, held: _Held) -> None:
    """Raises ChangeError, OSError."""
    try:
        user, group = _user(change.user), _group(change.group)
    except LookupError as error:
        raise ChangeError(
            Message("{path}: this machine has no {name}", path=change.path, name=str(error.args[0]))
        ) from error
    if why := obstacle(change):
        raise ChangeError(why)
    match change:
        case FileChange():
            if held.content != change.before:
                raise ChangeError(Message("{path} was changed meanwhile; run this again", path=change.path))
            mode, owner, of = held.rights or (0o640, -1, -1)
            mode = mode if change.mode is None else change.mode
            user, group = (new if new != -1 else old for new, old in ((user, owner), (group, of)))
            replace_durably(change.path, change.after, mode, group, user)
        case FolderChange():
            change.path.mkdir(0o700)
            _set_rights(change.path, change.mode, user, group)
        case RightsChange():
            _set_rights(change.path, change.mode, user, group)


def _set_rights(path: Path, mode: int | None, user: int, group: int) -> None:
    """Without following a link, which someone could have put there since. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if (user, group) != (-1, -1):
            os.fchown(descriptor, user, group)  # first, because it may clear set-group-id
        if mode is not None:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _restore(path: Path, held: _Held) -> None:
    """Raises OSError."""
    if held.rights is None:
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        return
    mode, user, group = held.rights
    if held.content is not None and path.read_bytes() != held.content:
        replace_durably(path, held.content, mode, group, user)
    _set_rights(path, mode, user, group)


def _user(name: str | None) -> int:
    """Raises LookupError with the user."""
    if name is None or name.isdecimal():
        return int(name or -1)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise LookupError(Message("user {name}", name=name)) from error


def _group(name: str | None) -> int:
    """Raises LookupError with the group."""
    if name is None or name.isdecimal():
        return int(name or -1)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise LookupError(Message("group {name}", name=name)) from error
