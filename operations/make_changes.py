"""Changes the PBX, keeping copies of the old content and restoring it if a change fails.

A run's copies are in a separate folder, not next to their files, because an `#include` with a pattern must not find
them. `record.json` in that folder contains what a copy cannot: new files, owners and modes.
"""

import grp
import hashlib
import json
import os
import pwd
import re
import shlex
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import ChangeError
from idtone.core.files import replace_durably
from idtone.core.translation import Message

from .asterisk_console import AsteriskConsole
from .planned_changes import AsteriskChange, Change, FileChange, FolderChange, ProgramChange, RightsChange

PROGRAM_S: Final = 90.0
"""Seconds within which a program must finish. systemd gives the service a minute to start."""
USUAL_COPIES: Final = Path("/var/backups/idtone")
"""Default folder for the copies. It belongs to root, because in a folder of its own the service could swap a copy
before root restores it."""
RECORD: Final = "record.json"
Entry = dict[str, Any]
"""An entry in the record.

The entry for a file or folder contains its `path`; its earlier `rights`, or None if it is new; the name of a `copy` of
the earlier content; `after`, the digest of the new content; and `added`, the added lines in Latin-1. The entry for a
command contains `back`, the command that reverts it.
"""


@dataclass(frozen=True, slots=True)
class PriorState:
    """A file's or folder's state before a change.

    `content` is None for a folder or a new file, and `rights` is None for anything new.
    """

    content: bytes | None
    rights: tuple[int, int, int] | None


class Changer:
    """Changes the PBX, group by group."""

    def __init__(self, console: AsteriskConsole, copies: Path, now: datetime, command: str = "doctor") -> None:
        self._console = console
        time = f"{now:%Y%m%dT%H%M%SZ}"
        names = chain((time,), (f"{time}-{number}" for number in count(2)))
        self.folder = next(folder for name in names if not (folder := copies / name).exists())
        """Folder for this run's copies, which exists once something has been changed.

        A later run in the same second gets another folder, which sorts after this one.
        """
        self._command = command
        self._entries: list[Entry] = []

    def make(self, group: Sequence[Change]) -> None:
        """Make all changes in a group, or none.

        Raises ChangeError.
        """
        made: list[tuple[Change, PriorState | None]] = []
        known = len(self._entries)
        path: object = ""
        try:
            for change in group:
                if isinstance(change, AsteriskChange) and change.once and self._is_so(change):
                    continue
                if isinstance(change, AsteriskChange | ProgramChange):
                    self._note({"back": reverting_command(change)})
                    made.append((change, None))
                    self._run(change)
                else:
                    path = change.path
                    before = prior_state(change.path)
                    self._keep(change, before)
                    made.append((change, before))
                    _apply(change, before)
        except BaseException as error:
            left = self._put_back(made)
            if not left:
                self._forget(known)
            if isinstance(error, OSError):
                why = error.strerror or type(error).__name__
                reason = Message("{path}: {reason}", path=error.filename or path, reason=why)
                raise ChangeError(_with_left(reason, left)) from error
            if isinstance(error, ChangeError):
                raise ChangeError(_with_left(Message("{error}", error=error), left)) from error
            raise

    def _run(self, change: AsteriskChange | ProgramChange) -> None:
        if isinstance(change, ProgramChange):
            run_program(change.command)
            return
        answer = self._console.run(change.command)
        if not self._is_so(change):
            last = [line for line in answer.splitlines() if line.strip()][-1:] or ["…"]
            raise ChangeError("{change}: {answer}", change=str(change), answer=last[0].strip())

    def _is_so(self, change: AsteriskChange) -> bool:
        return re.search(change.wanted, self._console.run(change.proof)) is not None

    def _keep(self, change: FileChange | FolderChange | RightsChange, before: PriorState) -> None:
        """Copy a file before it is changed, and record what the copy cannot contain.

        Raises ChangeError.
        """
        entry: Entry = {"path": str(change.path), "rights": before.rights}
        if isinstance(change, FileChange):
            entry["after"] = digest(change.after)
            if before.content is not None:
                entry["copy"] = f"{len(self._entries):02}-{change.path.name}"
                self._write(self.folder / entry["copy"], before.content)
                entry["added"] = inserted_text(before.content, change.after).decode("latin-1")
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        self._entries.append(entry)
        record = {"command": self._command, "entries": self._entries}
        self._write(self.folder / RECORD, json.dumps(record, indent=1).encode())

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file to the folder of copies.

        Raises ChangeError.
        """
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            replace_durably(path, content, 0o600)
        except OSError as error:
            raise ChangeError(
                "{folder}: no copy can be kept there: {reason}; run this as root, or name another folder: --copies",
                folder=self.folder,
                reason=error.strerror,
            ) from error

    def _forget(self, known: int) -> None:
        for entry in self._entries[known:]:
            if "copy" in entry:
                (self.folder / entry["copy"]).unlink(missing_ok=True)
        del self._entries[known:]
        with suppress(ChangeError, OSError):
            if self._entries:
                self._note(self._entries.pop())
            else:
                (self.folder / RECORD).unlink(missing_ok=True)
                self.folder.rmdir()

    def _put_back(self, made: Sequence[tuple[Change, PriorState | None]]) -> list[str]:
        left = []
        for change, before in reversed(made):
            if not isinstance(change, AsteriskChange | ProgramChange) and before is not None:
                try:
                    restore(change.path, before)
                except OSError:
                    left.append(str(change.path))
        for change, _ in reversed(made):
            if isinstance(change, AsteriskChange | ProgramChange):
                with suppress(ChangeError):  # a program that does not answer did nothing either
                    run_reverting_command(reverting_command(change), self._console)
        return left


def reverting_command(change: AsteriskChange | ProgramChange) -> list[str]:
    """The command that reverts a change, as stored in the record."""
    return ["asterisk", "-rx", change.back] if isinstance(change, AsteriskChange) else list(change.back)


def run_reverting_command(command: Sequence[str], console: AsteriskConsole) -> None:
    """Run a command from `reverting_command`, which reverts a change to the PBX.

    Raises ChangeError.
    """
    if command[:2] == ["asterisk", "-rx"]:
        console.run(command[2])
    elif command:
        run_program(command)


def run_program(command: Sequence[str]) -> None:
    """Run a program, and wait for it to finish.

    Raises ChangeError if the program fails.
    """
    try:
        ended = subprocess.run(  # noqa: S603  the arguments are ours
            ["/usr/bin/env", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROGRAM_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChangeError(
            "{command} failed: {error}", command=shlex.join(command), error=type(error).__name__
        ) from error
    if ended.returncode:
        said = ended.stderr.strip().splitlines()[-1:] or [str(ended.returncode)]
        raise ChangeError("{command} failed: {error}", command=shlex.join(command), error=said[0])


def inserted_text(before: bytes, after: bytes) -> bytes:
    """The bytes that were inserted in one place; empty if the content differs in any other way."""
    start = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))
    end = len(before) - start
    return after[start : len(after) - end] if after.endswith(before[start:]) else b""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _with_left(reason: str, left: Sequence[str]) -> str:
    if not left:
        return Message("{reason}; everything is as before", reason=reason)
    return Message(
        "{reason}; could not be put back: {paths}; the copies have what was there",
        reason=reason,
        paths=", ".join(left),
    )


def obstacle(change: Change) -> str:
    """The reason a person must check a change first; empty if there is none.

    A link could lead root to another file, and a replaced file would lose its access control list. Raises OSError.
    """
    if isinstance(change, AsteriskChange | ProgramChange):
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
    """True if a file or folder already has the rights that the change sets; False for any other kind of change.

    Raises OSError and LookupError.
    """
    if not isinstance(change, RightsChange):
        return False
    wanted = (change.mode, _user(change.user), _group(change.group))
    present = prior_state(change.path).rights
    return present is not None and all(new in (None, -1, old) for new, old in zip(wanted, present, strict=True))


def prior_state(path: Path) -> PriorState:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return PriorState(None, None)
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
    return PriorState(content, (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid))


def _apply(change: FileChange | FolderChange | RightsChange, before: PriorState) -> None:
    """Make one change.

    Raises ChangeError and OSError.
    """
    try:
        user, group = _user(change.user), _group(change.group)
    except LookupError as error:
        raise ChangeError("{path}: this machine has no {name}", path=change.path, name=str(error.args[0])) from error
    if why := obstacle(change):
        raise ChangeError(why)
    match change:
        case FileChange():
            if before.content != change.before:
                raise ChangeError("{path} was changed meanwhile; run this again", path=change.path)
            mode, owner, of = before.rights or (0o640, -1, -1)
            mode = mode if change.mode is None else change.mode
            user, group = (new if new != -1 else old for new, old in ((user, owner), (group, of)))
            replace_durably(change.path, change.after, mode, group, user)
        case FolderChange():
            change.path.mkdir(0o700)
            _set_rights(change.path, change.mode, user, group)
        case RightsChange():
            _set_rights(change.path, change.mode, user, group)


def _set_rights(path: Path, mode: int | None, user: int, group: int) -> None:
    """Set mode, user and group without following links.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if (user, group) != (-1, -1):
            os.fchown(descriptor, user, group)  # first, because it may clear set-group-id
        if mode is not None:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def restore(path: Path, before: PriorState) -> None:
    """Restore a file's or folder's earlier state.

    Raises OSError.
    """
    if before.rights is None:
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        return
    mode, user, group = before.rights
    if before.content is not None and path.read_bytes() != before.content:
        replace_durably(path, before.content, mode, group, user)
    _set_rights(path, mode, user, group)


def _user(name: str | None) -> int:
    """A user's id; -1 for None.

    Raises LookupError, which names the user.
    """
    if name is None or name.isdecimal():
        return int(name or -1)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise LookupError(Message("user {name}", name=name)) from error


def _group(name: str | None) -> int:
    """A group's id; -1 for None.

    Raises LookupError, which names the group.
    """
    if name is None or name.isdecimal():
        return int(name or -1)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise LookupError(Message("group {name}", name=name)) from error
