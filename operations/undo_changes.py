"""Undoes a command's changes from their record, latest first.

If a file has changed since, only the added lines are removed. If they cannot be found, the file is left unchanged and
reported. The present content is copied first.
"""

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from idtone.core.errors import ChangeError, UsageError
from idtone.core.files import replace_durably, rewrite_durably
from idtone.core.translation import Message
from idtone.dialplan import HOOK_FILE

from .asterisk_console import AsteriskConsole
from .make_changes import RECORD, Entry, PriorState, digest, prior_state, restore, run_reverting_command

UNDONE: Final = "undone.json"
"""Name that a run's record gets once the run has been undone."""


@dataclass
class Undone:
    """The paths that were restored, and those that were left unchanged.

    `left` gives the reason for each path that was left unchanged.
    """

    restored: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def runs(copies: Path, command: str) -> list[Path]:
    """Folders of a command's runs that have not been undone, latest first.

    Only records that belong to root or to the current account are used, because a record names the files to write.
    Raises UsageError.
    """
    found = []
    for record in sorted(copies.glob(f"*/{RECORD}"), reverse=True):
        try:
            for path in (record.parent, record):
                status = path.stat()
                if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise UsageError("{path}: others can write it, so it is not followed", path=path)
            if json.loads(record.read_text())["command"] == command:
                found.append(record.parent)
        except (OSError, ValueError, LookupError) as error:
            raise UsageError(
                "{path}: cannot be read: {error}; run this as root", path=record, error=type(error).__name__
            ) from error
    return found


def removed_hook(folder: Path) -> Path | None:
    """The hook's file if undoing a run removes the hook from the dialplan; otherwise None.

    Raises OSError.
    """
    entries: list[Entry] = json.loads((folder / RECORD).read_text())["entries"]
    for entry in entries:
        path = Path(entry.get("path", ""))
        if path.name == HOOK_FILE and entry["rights"] is None:
            return path
        if HOOK_FILE in entry.get("added", ""):
            return path.with_name(HOOK_FILE)
    return None


def undo(folder: Path, console: AsteriskConsole) -> Undone:
    """Undo the recorded changes of one run.

    Files are restored first, starting with the latest. Then the commands run, which read them. Raises OSError.
    """
    entries: list[Entry] = json.loads((folder / RECORD).read_text())["entries"]
    done = Undone()
    for number, entry in reversed(list(enumerate(entries))):
        if "path" in entry:
            path = Path(entry["path"])
            try:
                _undo(folder, number, path, entry, done)
            except OSError as error:
                done.left[str(path)] = error.strerror or type(error).__name__
    for entry in reversed(entries):
        if "back" in entry:
            with suppress(ChangeError):  # a program that does not answer reads its files at its next start
                run_reverting_command(entry["back"], console)
    (folder / RECORD).replace(folder / UNDONE)
    return done


def _undo(folder: Path, number: int, path: Path, entry: Entry, done: Undone) -> None:
    present = prior_state(path)
    if present.rights is None:
        return
    rights = tuple(entry["rights"]) if entry["rights"] else None
    if "after" not in entry:  # a folder, or rights
        if rights is None and any(path.iterdir()):
            done.left[str(path)] = Message("it has files")
        else:
            restore(path, PriorState(None, rights))
            done.restored.append(str(path))
        return
    if present.content is None:
        done.left[str(path)] = Message("it is no file now")
        return
    before = (folder / entry["copy"]).read_bytes() if "copy" in entry else None
    if present.content == before:
        return
    if digest(present.content) == entry["after"]:
        restore(path, PriorState(before, rights))
    else:
        replace_durably(folder / f"{number:02}-{path.name}.undone", present.content, 0o600)
        added = entry.get("added", "").encode("latin-1")
        if before is None:
            path.unlink()
        elif added and present.content.count(added) == 1:
            rewrite_durably(path, present.content.replace(added, b""))
        else:
            done.left[str(path)] = Message("it was changed since; {copy} is as it was", copy=folder / entry["copy"])
            return
    done.restored.append(str(path))
