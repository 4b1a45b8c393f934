"""The doctor's checks of the sound files, fallback.conf and the journal, and of their access rights."""

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from idtone.call_control.fallback_conf import end_of
from idtone.core.translation import Message, joined

from ..planned_changes import FolderChange, RightsChange
from .findings import Finding, bad, good, unknown

_RESTART: Final = Message("systemctl restart idtone, which makes them again")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process's user and groups.

    `group` is the primary group, and one of `groups`.
    """

    user: int
    groups: frozenset[int]
    group: int = -1


@dataclass(frozen=True, slots=True)
class Rights:
    """A file's or folder's mode and owners.

    `listed` is True if it has an access control list, so that the mode may not apply.
    """

    path: Path
    mode: int
    user: int
    group: int
    listed: bool = False

    def allow(self, who: Identity, right: int) -> bool:
        """True if a process has a right: 4 to read, 2 to write, 1 to pass through a folder.

        Root has all rights.
        """
        shift = 6 if who.user == self.user else 3 if self.group in who.groups else 0
        return who.user == 0 or bool(self.mode >> shift & right)


def sound_files(
    wanted: Mapping[Path, bytes],
    there: Mapping[Path, bytes | None],
    serving: bool,
    further: Sequence[Path] = (),
    *,
    by_list: bool = False,
) -> Finding:
    """Check that the sound files exist and have the expected content.

    `wanted` has each file's expected content, and `there` its present content, or None if it is missing. `further` are
    other files that Asterisk could play instead. `by_list` is True if the expected content of imported sounds comes
    from their list, not from their masters.
    """
    missing = sorted(path for path in wanted if there[path] is None)
    other = sorted(path for path in wanted if there[path] not in (None, wanted[path]))
    if further:
        return bad(
            "sounds",
            Message(
                "Asterisk can play these files instead of those that the service makes and checks: {names}",
                names=", ".join(map(str, further)),
            ),
            f"rm {' '.join(quote(str(path)) for path in further)}",
        )
    if not missing and not other:
        if by_list:
            return good(
                "sounds",
                Message(
                    "{count} files; those of imported sounds are compared with the list only, because idtone[sounds] "
                    "is not installed",
                    count=len(wanted),
                ),
            )
        return good("sounds", Message("{count} files, all as their profiles say", count=len(wanted)))
    parts = []
    if missing:
        parts.append(Message("missing: {names}", names=", ".join(map(str, missing))))
    if other:
        parts.append(Message("not as the profile says: {names}", names=", ".join(map(str, other))))
    return bad(
        "sounds", joined("; ", parts), _RESTART if serving else Message("systemctl start idtone, which makes them")
    )


def group_for(asterisk: Identity | None, folder: Rights | None) -> int | None:
    """The group through which Asterisk can read a folder; None if Asterisk's process was not found.

    This is the folder's own group if Asterisk belongs to it, and otherwise Asterisk's primary group.
    """
    if asterisk is None:
        return None
    return folder.group if folder and folder.group in asterisk.groups else asterisk.group


def sound_access(who: Identity | None, folders: Sequence[Rights], held: Sequence[Rights], group: str) -> Finding:
    """Check that Asterisk can read the sound files.

    `who` is Asterisk's user, or None if its process was not found. `group` is its group. `folders` are the files'
    parent folders.
    """
    topic = "sounds-readable"
    place = folders[-1].path if folders else Path()
    look = Message("As Asterisk's user: head -c 1 {place}/* >/dev/null", place=quote(str(place)))
    if who is None:
        return unknown(topic, Message("Asterisk's process was not found"), look)
    closed_folders = [folder for folder in folders if not folder.allow(who, 1)]
    closed_files = [file for file in held if not file.allow(who, 4)]
    closed = [*closed_folders, *closed_files]
    if not closed:
        return good(topic, Message("Asterisk (user {user}) may read all {count} files", user=who.user, count=len(held)))
    names = ", ".join(str(rights.path) for rights in closed)
    if any(rights.listed for rights in closed):
        return unknown(topic, Message("{names} may have access control lists", names=names), look)
    commands = _granting(closed_folders, place, group)
    if closed_files:
        files = f"find {quote(str(place))} -maxdepth 1 -type f"
        commands.append(f"{files} -exec chgrp {group} {{}} + -exec chmod g+r {{}} +")
    changes = [RightsChange(file.path, file.mode | 0o040, None, group) for file in closed_files]
    found = Message("Asterisk (user {user}) may not read {names}", user=who.user, names=names)
    return bad(topic, found, " && ".join(commands), *_with_folders(closed_folders, place, group, changes))


def _granting(closed: Sequence[Rights], own: Path, group: str) -> list[str]:
    """Commands that give Asterisk access to folders.

    With g+s, new files get the folder's group, even if the user who creates them does not belong to it.
    """
    return [
        f"chgrp {group} {name} && chmod g+rxs {name}" if rights.path == own else f"chmod o+x {name}"
        for rights in closed
        for name in (quote(str(rights.path)),)
    ]


def _with_folders(
    closed: Sequence[Rights], own: Path, group: str, changes: Sequence[RightsChange]
) -> tuple[RightsChange, ...]:
    """The commands from `_granting` as changes, followed by `changes`.

    Empty if a closed folder is not idtone's, because opening it would expose other files.
    """
    if any(rights.path != own for rights in closed):
        return ()
    return (*(RightsChange(rights.path, rights.mode | 0o2050, None, group) for rights in closed), *changes)


def journal_access(
    who: Identity | None,
    folders: Sequence[Rights],
    path: Path,
    held: Rights | None,
    left: int,
    group: str,
    sounds: Path,
) -> Finding:
    """Check that Asterisk can write to the journal.

    `who` is Asterisk's user, and `group` its group. `held` is the present journal, or None if it does not exist. `left`
    is the number of journals that the service has taken but not yet entered into the ledger. `sounds` is the sounds'
    folder.
    """
    topic, restart = "journal", Message("systemctl restart idtone, which creates it")
    name, folder = quote(str(path)), quote(str(path.parent))
    if held is None:
        return bad(topic, Message("{path} is missing", path=path), restart)
    if who is None:
        return unknown(
            topic, Message("Asterisk's process was not found"), Message("As Asterisk's user: test -w {name}", name=name)
        )
    closed_folders = [rights for rights in folders if not rights.allow(who, 1)]
    closed = closed_folders + [held] * (not held.allow(who, 2))
    names = ", ".join(str(rights.path) for rights in closed)
    if any(rights.listed for rights in closed):
        return unknown(
            topic,
            Message("{names} may have access control lists", names=names),
            Message("As Asterisk's user: test -w {name}", name=name),
        )
    if closed:
        others = [rights for rights in closed_folders if rights.path != path.parent]
        commands = _granting(others, sounds, group)
        commands.append(f"chgrp {group} {folder} {name} && chmod {JOURNAL_MODE:o} {folder} && chmod g+w {name}")
        found = Message(
            "Asterisk (user {user}) may not write to {path}, because of {names}", user=who.user, path=path, names=names
        )
        changes = [
            RightsChange(path.parent, JOURNAL_MODE, None, group),
            RightsChange(path, held.mode | 0o020, None, group),
        ]
        return bad(topic, found, " && ".join(commands), *_with_folders(others, sounds, group, changes))
    if held.mode & 0o007:
        return bad(
            topic,
            Message("all users can read or write {path}, which has numbers in clear", path=path),
            f"chmod o= {name}",
            RightsChange(path, held.mode & ~0o007),
        )
    if left > 1:
        return bad(
            topic,
            Message("{left} files in {folder} are not in the ledger yet", left=left, folder=path.parent),
            Message("journalctl -u idtone, which says why"),
        )
    return good(topic, Message("Asterisk (user {user}) may write to {path}", user=who.user, path=path))


SOUNDS_MODE: Final = 0o2750
JOURNAL_MODE: Final = 0o2710
"""Modes of the two folders. With g+s, new files get the folder's group, so the service can run as any user who owns the
folders."""


@dataclass(frozen=True, slots=True)
class PutTrial:
    """The result of an attempt to write one of the service's files into a folder.

    `above` are the existing parent folders. `held` is the folder itself, or None if it does not exist. `error` is the
    attempt's errno, 0 if it succeeded, or None if none was made. In that case, `why` has the reason.
    """

    folder: Path
    above: Sequence[Rights]
    held: Rights | None
    error: int | None = None
    why: str = ""


def put_access(
    topic: str, trial: PutTrial, who: Identity | None, owner: str, mode: int, group: int | None = None
) -> Finding:
    """Check that the service can write files into a folder.

    `who` is the service. `owner` is USER:GROUP for `chown`: the service's user and Asterisk's group. `mode` is the
    folder's mode in the remedy. `group` is only for the journal, because the service gives the journal's folder the
    same group as the sounds' folder.
    """
    folder, held = trial.folder, trial.held
    if who is None:
        return unknown(
            topic,
            Message("the user that runs the service is not known"),
            Message("systemctl start idtone; then run this again"),
        )
    closed = [f"chmod o+x {quote(str(rights.path))}" for rights in trial.above if not rights.allow(who, 1)]
    by = Message("the service (user {user})", user=who.user)
    if held is None:
        if not closed and trial.above and trial.above[-1].allow(who, 2):
            return good(topic, Message("{folder} does not exist yet; {by} can create it", folder=folder, by=by))
        user, _, of = owner.partition(":")
        make = FolderChange(folder, mode, user, of)
        return bad(
            topic,
            Message("{folder} is missing, and {by} cannot create it", folder=folder, by=by),
            " && ".join([*closed, str(make)]),
            *([make] if not closed and trial.above[-1].path == folder.parent else []),
        )
    if trial.error is None:
        return unknown(topic, Message("{folder}: {why}", folder=folder, why=trial.why), Message("Run this as root"))
    if trial.error == errno.EROFS:
        return bad(
            topic,
            Message("{folder} is read-only for {by}", folder=folder, by=by),
            Message(
                "systemctl edit idtone, [Service]: `ReadWritePaths={folder}`; then systemctl restart idtone",
                folder=folder,
            ),
        )
    if trial.error in (errno.ENOSPC, errno.EDQUOT):
        return bad(topic, f"{folder}: {os.strerror(trial.error)}", Message("Free space on its disk"))
    trouble = os.strerror(trial.error) if trial.error else _unchangeable(held, who, mode, group)
    if trouble:
        user, _, of = owner.partition(":")
        rights = RightsChange(folder, mode, user, of)
        remedy = " && ".join([*closed, str(rights)])
        return bad(
            topic,
            Message("{by} cannot put files into {folder}: {trouble}", by=by, folder=folder, trouble=trouble),
            remedy,
            *([] if closed else [rights]),
        )
    return good(topic, Message("{by} can put files into {folder}", by=by, folder=folder))


def _unchangeable(held: Rights, who: Identity, mode: int, group: int | None) -> str:
    """The reason the service cannot set the group and mode of the journal's folder; empty if it can or need not."""
    if group is None or who.user == 0:
        return ""
    if held.group != group and (who.user != held.user or group not in who.groups):
        return Message(
            "the folder's group is {present}, and the service cannot change it to {group}",
            present=held.group,
            group=group,
        )
    if held.mode & 0o777 != mode & 0o777 and who.user != held.user:
        return Message("the folder's mode is {mode:04o}, and the service cannot change it", mode=held.mode)
    return ""


def fallback_file(wanted: str | None, text: str | None, trouble: str, path: Path) -> Finding:
    """Check that fallback.conf has the content that the registry requires.

    `wanted` is the content according to the registry, or None if there is no registry. `text` is the present content.
    The finding shows neither, because both contain telephone numbers. `trouble` says why the file could not be read,
    and is empty if it does not exist.
    """
    topic = "fallback"
    remedy = Message("idtone registry update, as the user that `idtone serve` runs as; it writes the file")
    if trouble:
        return unknown(
            topic,
            Message("{path}: {trouble}", path=path, trouble=trouble),
            Message("Run this as the user that `idtone serve` runs as"),
        )
    if text is None:
        return bad(topic, Message("{path} is missing", path=path), remedy)
    end = end_of(text.encode("utf-8", "surrogateescape"))
    if end is None:
        return bad(topic, Message("{path} is cut or was changed", path=path), remedy)
    if wanted is None:
        return unknown(
            topic,
            Message("{path} exists, but cannot be checked without a registry", path=path),
            Message("Correct the registry first"),
        )
    newest = end_of(wanted.encode("ascii"))
    if newest and end.version < newest.version:
        older = Message(
            "{path} is of version {there} of the registry, which is at version {now}",
            path=path,
            there=end.version,
            now=newest.version,
        )
        return bad(topic, older, remedy)
    if text != wanted:
        return bad(topic, Message("{path} differs from the registry", path=path), remedy)
    return good(topic, Message("{path} agrees with the registry", path=path))
