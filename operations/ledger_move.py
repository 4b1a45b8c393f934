"""`idtone-evidence log move`: moves a node's ledger to another folder.

Most of the copying happens while the service writes. Then the service stops, later changes are copied, and the service
starts with the new settings. During these few seconds, the hook decides calls without the service, and the journal
keeps their evidence. If the move is killed at any step, the settings name one complete ledger, and no service has
written to the other.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import ChangeError, LedgerInUseError, UsageError
from idtone.core.files import make_public_folder, replace_durably
from idtone.core.settings.settings import DEFAULT_FILE, Settings, load_settings, settings_folder
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message
from idtone.ledger.store.file_identity import record_identity
from idtone.ledger.store.sqlite import lock_for_writing, path_of
from idtone.service.service_user import UNIT

from .make_changes import run_program
from .setup.unit_file import unit_word

UNITS: Final = Path("/etc/systemd/system")
_DROP_IN: Final = "60-ledger.conf"
_SETTINGS: Final = "60-ledger.yaml"
_MOVING: Final = ".moving"
_NOT_COPIED: Final = (".reserve", ".next", ".status")
"""Suffixes of files that the service recreates: the reserve and its sockets."""
_SET_ASIDE: Final = (".damaged-", ".ended-", ".restored-", ".moved-")
"""Files that stay in place, because their path is recorded or they are no longer needed."""
_CLOSED: Final = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
"""Folders that systemd hides from the service's unit."""
_COMMAND_S: Final = 5.0
"""Time that a command may take to record an act, in seconds."""
_BLOCK: Final = 2**20
_ROOM: Final = 1.1


@dataclass(frozen=True, slots=True)
class _Move:
    """A move of the ledger `old` to `folder`, which keeps its file name."""

    settings: Settings
    config: Path
    old: Path
    folder: Path

    @property
    def new(self) -> Path:
        return self.folder / self.old.name

    def files(self) -> list[Path]:
        """The ledger, and the service's files next to it whose names begin with the ledger's name."""
        beside = (each for each in self.old.parent.glob(f"{self.old.name}*"))
        endings = ((each, each.name.removeprefix(self.old.name)) for each in beside)
        return sorted(
            each
            for each, end in endings
            if end not in _NOT_COPIED and not end.startswith(_SET_ASIDE) and end[:1] in ".-"
        )

    @property
    def drop_ins(self) -> list[Path]:
        """Drop-ins for the two units that write next to the ledger: the service and the console."""
        return [UNITS / f"{unit}.service.d" / _DROP_IN for unit in (UNIT, f"{UNIT}-console")]

    @property
    def own_settings(self) -> Path:
        return settings_folder(self.config) / _SETTINGS


def move(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new folder. It is created if it does not exist.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: command_line.ConfigOption = None,
) -> None:
    """Move this node's ledger to another folder: its files, the unit's rights and the settings. Run it as root.

    Calls may be in progress. The slow part of the copy happens while the service runs. The service then stops for a few
    seconds; calls get the notice in this time, and no evidence is lost. The keys stay where they are. The old ledger is
    renamed; remove it when the new one is in use.
    """
    if os.geteuid() != 0:
        raise UsageError("only root can stop the service and change its unit; run this by sudo")
    settings = load_settings(config)
    one = _Move(settings, (config or DEFAULT_FILE).absolute(), path_of(settings.ledger.own_url()), folder.absolute())
    _check(one)
    plan = Message(
        "{old} → {new}; also written: {files}; the service stops for some seconds",
        old=one.old,
        new=one.new,
        files=", ".join(map(str, (*one.drop_ins, one.own_settings))),
    )
    command_line.say(plan)
    if not yes and not ask_confirmation(Message("Move the ledger?")):
        return
    moved = _moved(one)
    command_line.say("the service writes {new} now", new=one.new)
    command_line.say("the old ledger: {old}; when all is well: rm {old}", old=moved)


def _check(one: _Move) -> None:
    """Check that the move is possible.

    Raises UsageError.
    """
    if not one.old.exists():
        raise UsageError("{path} does not exist yet; set ledger.url instead", path=one.old)
    if one.new.exists() or one.folder == one.old.parent:
        raise UsageError("{path} exists; name another folder", path=one.new)
    if closed := next((each for each in _CLOSED if one.folder.is_relative_to(each)), None):
        raise UsageError("the service's unit does not see {closed}; name another folder", closed=closed)
    owner = one.old.stat().st_uid
    if one.folder.exists() and one.folder.stat().st_uid != owner:
        raise UsageError(
            "{folder} does not belong to the service's user; run: chown {owner}: {folder} && chmod 700 {folder}",
            folder=one.folder,
            owner=owner,
        )
    needed = _ROOM * sum(each.stat().st_size for each in one.files() if each.is_file())
    free = shutil.disk_usage(next(each for each in (one.folder, *one.folder.parents) if each.exists())).free
    if free < needed + one.settings.ledger.reserve:
        raise UsageError(
            "{folder} has {free:,.0f} MB free, and the ledger with its reserve needs {needed:,.0f} MB",
            folder=one.folder,
            free=free / 1e6,
            needed=(needed + one.settings.ledger.reserve) / 1e6,
        )


def _moved(one: _Move) -> Path:
    """Move the ledger, and return the new path of the old one.

    After a ChangeError, the service runs with the old ledger.
    """
    owner = one.old.stat()
    draft = one.folder / _MOVING
    _delete(draft)
    make_public_folder(one.folder.parent)  # the service's user goes through it
    one.folder.mkdir(0o700, exist_ok=True)
    os.chown(one.folder, owner.st_uid, owner.st_gid)
    draft.mkdir(0o700)
    written: list[Path] = []
    unused: list[Path] = []
    """Files of the copy that no service has written to yet."""
    stopped = False
    held: int | None = None
    try:
        _copy(one, draft)
        for path in one.drop_ins:
            make_public_folder(path.parent)
            word = unit_word(one.folder)
            text = f"[Unit]\nRequiresMountsFor={word}\n[Service]\nReadWritePaths={word}\n"
            written.append(path)
            replace_durably(path, text.encode())
        run_program(("systemctl", "daemon-reload"))
        stopped = True
        run_program(("systemctl", "stop", UNIT))
        held = _locked(one.old)
        _copy(one, draft)
        for path in _in(draft):
            unused.append(path.rename(one.folder / path.name))
        draft.rmdir()
        record_identity(one.new)
        written.append(one.own_settings)
        make_public_folder(one.own_settings.parent)
        replace_durably(one.own_settings, _settings_text(one).encode())
        _check_settings(one)
        unused.clear()
        run_program(("systemctl", "start", UNIT))
    except BaseException:
        if held is not None:
            os.close(held)
        for path in written:
            path.unlink(missing_ok=True)
        with suppress(ChangeError):
            run_program(("systemctl", "daemon-reload"))
            if stopped:
                run_program(("systemctl", "start", UNIT))
        with suppress(OSError):  # what stays is named when the command is run again
            for path in (draft, *unused):
                _delete(path)
        raise
    with suppress(ChangeError):
        run_program(("systemctl", "try-restart", f"{UNIT}-console"))
    try:
        return _renamed(one)
    finally:
        os.close(held)


def _locked(ledger: Path) -> int:
    """Lock the old ledger, so that no command writes to it and signs it after it was copied.

    Waits for a command that writes now. Raises LedgerInUseError.
    """
    deadline_s = time.monotonic() + _COMMAND_S
    while True:
        try:
            return lock_for_writing(ledger)
        except LedgerInUseError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def _check_settings(one: _Move) -> None:
    """Check that the service would find the new ledger.

    Raises ChangeError if it would not.
    """
    if path_of(load_settings(one.config).ledger.own_url()) != one.new:
        raise ChangeError(
            "another file of settings, or the environment, names the ledger too: write {new} there", new=one.new
        )


def _renamed(one: _Move) -> Path:
    kept = one.old.with_name(f"{one.old.name}.moved-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for path in one.files():
        if path == one.old:
            path.rename(kept)
        else:
            _delete(path)
    one.old.with_name(f"{one.old.name}.reserve").unlink(missing_ok=True)
    return kept


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _settings_text(one: _Move) -> str:
    key, value = ("spool", str(one.new)) if one.settings.ledger.is_shared() else ("url", f"sqlite:///{one.new}")
    head = "# Written by `idtone-evidence log move`. idtone-evidence log move が作成しました。"
    return f"{head}\nledger:\n  {key}: {json.dumps(value)}\n"


def _copy(one: _Move, draft: Path) -> None:
    """Make the draft identical to the present files.

    A second call only writes the differences. Raises ChangeError.
    """
    try:
        present = one.files()
        for path in present:
            target = draft / path.name
            if path.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(path, target, copy_function=shutil.copy2)
            else:
                _write_difference(path, target)
            for each in (target, *(_below(target))):
                status = (path if each == target else path / each.relative_to(target)).stat()
                os.chown(each, status.st_uid, status.st_gid)
                each.chmod(status.st_mode & 0o7777)
        for path in _in(draft):
            if one.old.with_name(path.name) not in present:  # a journal of SQLite that has gone
                path.unlink()
    except OSError as error:
        raise ChangeError("{path}: {reason}", path=error.filename or one.folder, reason=error.strerror) from error


def _below(target: Path) -> Iterator[Path]:
    return target.rglob("*") if target.is_dir() else iter(())


def _in(draft: Path) -> list[Path]:
    return sorted(draft.iterdir())


def _write_difference(path: Path, target: Path) -> None:
    with path.open("rb") as source, target.open("r+b" if target.exists() else "w+b") as copy:
        while block := source.read(_BLOCK):
            at = copy.tell()
            if copy.read(len(block)) != block:
                copy.seek(at)
                copy.write(block)
        copy.truncate(source.tell())
        copy.flush()
        os.fsync(copy.fileno())
