"""`idtone backup` and `idtone restore`: options and output."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pyrage
import typer

from idtone.core.errors import BackupError, IdtoneError, UsageError
from idtone.core.files import file_lock, replace_durably
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.service import backup_result
from idtone.service.backup_result import BackupResult
from idtone.service.service_user import act_as_service

from .archive import Identity, secret_keys_of
from .archive_folder import chain_of
from .make_backup import make
from .restore import Restored, continue_copied_ledger, restore_here, restore_into, scratch
from .unpack import Unpacked, unpack

IdentityOption = Annotated[
    Path | None,
    typer.Option(
        "-i", "--identity", metavar="FILE", help="The file with the secret key; - reads it from standard input."
    ),
]
NodeOption = Annotated[
    str | None,
    typer.Option(
        "--node", metavar="NAME", help="The node to restore, if the folder contains archives of several nodes."
    ),
]


def backup(
    context: typer.Context,
    due: Annotated[
        bool, typer.Option("--due", help="Run only if the last backup is older than backup.every, as the timer does.")
    ] = False,
    new_key: Annotated[
        Path | None,
        typer.Option(
            "--new-key",
            metavar="FILE",
            help="Create a key pair instead of an archive: write the secret key to this new file, and print the "
            "public key for backup.recipients.",
        ),
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Create an encrypted archive of this node: ledger, keys, registry, settings, forms, desk, console users.

    First create the key pair (--new-key) on another machine, or write the file to a medium that you take away. Without
    the secret key, nobody can open an archive, so keep two copies of it.
    """
    if new_key is not None:
        if due or as_json or command_line.is_on_command_line(context, "config"):
            raise UsageError("--new-key makes no archive; it cannot go with --due, --config or --json")
        make_key(new_key)
        return
    settings = load_settings(config)
    if not settings.backup.is_on:
        if due:
            return
        raise UsageError(
            "backup.recipients names no key; run on another machine: idtone backup --new-key FILE; then write what "
            "it prints into the settings"
        )
    act_as_service(config, settings.backup.result.parent, settings.sounds.directory)
    lock = settings.backup.result.with_name(f"{settings.backup.result.name}.lock")
    busy = None if due else BackupError("another backup is being made; wait until it has ended")
    with file_lock(lock, busy, backup_result.not_written) as is_alone:
        if not is_alone:
            return
        last = backup_result.read(settings.backup.result)
        if due and last and 0 <= last.age_s(datetime.now(UTC)) < settings.backup.every.total_seconds():
            return
        path, result = make(settings, config)
    if as_json:
        command_line.print_json({"archive": str(path), **_plain(result)})
    elif not due:
        _show(path, result)


def _plain(result: BackupResult) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result), default=str))
    return plain


def _show(path: Path, result: BackupResult) -> None:
    size = result.chain[-1].size
    print(f"{path}: {size:,} B, {result.lasted_s:.1f} s")
    if result.newest:
        newest = Message(
            "the newest call in it was over at {at}", at=result.newest.astimezone().isoformat(" ", "seconds")
        )
        command_line.say(newest)


def drill(source: Path | None, identity: Path | None, node: str | None, config: Path | None, as_json: bool) -> None:
    """Run `idtone restore --drill`: a trial restore into a scratch folder."""
    settings = load_settings(config)
    source = source or settings.backup.directory
    began_s = time.monotonic()
    identities = _identities(identity)
    is_own = node in (None, settings.node)
    with scratch() as folder:
        try:
            unpacked = unpack(chain_of(source, node, identities), identities, Path(folder))
            is_own = unpacked.header.node == settings.node
            made = restore_into(unpacked, Path(folder) / "node", ask=False)
            load_settings(made.settings, {})
        except IdtoneError:
            if is_own:
                _remember(settings, lambda last: last.after_failed_drill(datetime.now(UTC)))
            raise
        faults, newest, now = unpacked.faults, unpacked.newest, datetime.now(UTC)
        leaves = sum(tree.leaves for tree in unpacked.trees)
    if is_own:
        _remember(settings, lambda last: last.after_failed_drill(now) if faults else last.after_drill(now, newest))
    age_s = None if newest is None else (now - newest).total_seconds()
    if as_json:
        found = {
            "good": not faults, "archive": str(unpacked.archives[-1]), "archives": len(unpacked.archives),
            "made": unpacked.header.made.isoformat(), "leaves": leaves, "faults": [str(each) for each in faults],
            "newest_call": newest and newest.isoformat(), "age_seconds": age_s,
            "lasted_seconds": time.monotonic() - began_s,
        }  # fmt: skip
        command_line.print_json(found)
    else:
        _show_drill(unpacked, leaves, newest, age_s)
    if faults:
        command_line.exit_negative()


def _show_drill(unpacked: Unpacked, leaves: int, newest: datetime | None, age_s: float | None) -> None:
    for fault in unpacked.faults:
        print(translated(fault), file=sys.stderr)
    good = Message("good") if not unpacked.faults else Message("NOT GOOD")
    command_line.say(
        "{verdict}: {path}, {count} archives, {leaves:,} leaves",
        verdict=good,
        path=unpacked.archives[-1],
        count=len(unpacked.archives),
        leaves=leaves,
    )
    if newest is None or age_s is None:
        command_line.say("no call is in it")
    else:
        at = newest.astimezone().isoformat(" ", "seconds")
        command_line.say("the newest restorable call is {hours:.1f} hours old ({at})", hours=age_s / 3600, at=at)


def _remember(settings: Settings, changed: Callable[[BackupResult], BackupResult]) -> None:
    """Store a changed result for the metrics and the doctor, if the node makes backups."""
    path = settings.backup.result
    last = backup_result.read(path) if settings.backup.is_on else None
    if last and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        owner = path.stat()
        backup_result.write(changed(last), path)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def make_key(output: Path) -> None:
    """Run `idtone backup --new-key`: create a key pair for backups."""
    made = pyrage.x25519.Identity.generate()
    if output.exists():
        raise UsageError("{path} exists; name a new file", path=output)
    text = f"# idtone backup, {datetime.now(UTC):%Y-%m-%d}\n# public key: {made.to_public()}\n{made}\n"
    try:
        replace_durably(output, text.encode(), 0o600)
    except OSError as error:
        raise UsageError("{path}: {reason}", path=output, reason=error.strerror) from error
    print(made.to_public())


def restore(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE", help="The folder of the archives, or one archive (with --drill: backup.directory)."
        ),
    ] = None,
    identity: IdentityOption = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", help="A new folder for all restored files, with settings that refer to it."
        ),
    ] = None,
    node: NodeOption = None,
    as_drill: Annotated[
        bool,
        typer.Option(
            "--drill",
            help="Restore the newest archives into a temporary folder, verify them, and report the age of their "
            "newest call.",
        ),
    ] = False,
    here: Annotated[
        bool,
        typer.Option("--here", help="The ledger was copied here by other means: begin the ledger that continues it."),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the witnesses and the replica for the last signed head.")
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Restore a node from its archives: on this machine, into a folder (--into), or as a trial (--drill).

    No existing file is overwritten. The restored ledger never gets another leaf, because the old node may have
    continued to sign. The service begins another ledger, whose first leaf names the newest head that the witnesses, the
    replica and the archives contain. Run it as root while the service is stopped.

    A drill affects neither the service nor the ledger, and removes its folder. Run it on the machine that has the
    secret key, or bring the key for this command only. Exit 1: the restored data differs from the signed data.
    """
    if as_drill:
        if into is not None or here or offline:
            raise UsageError("--drill restores into a scratch folder; leave out --into, --here and --offline")
        drill(source, identity, node, config, as_json)
        return
    if here:
        made = continue_copied_ledger(load_settings(config), config, ask=not offline)
        _show_restored(made, [], as_json)
        return
    if source is None:
        raise UsageError("name the folder of the archives, or one archive")
    identities = _identities(identity)
    with scratch() as folder:
        unpacked = unpack(chain_of(source, node, identities), identities, Path(folder))
        if into is not None:
            made = restore_into(unpacked, into, ask=not offline)
        else:
            made = restore_here(unpacked, ask=not offline)
    _show_restored(made, [str(each) for each in unpacked.faults], as_json)
    if unpacked.faults:
        command_line.exit_negative()


def _show_restored(made: Restored, faults: list[str], as_json: bool) -> None:
    if as_json:
        command_line.print_json(
            {
                "settings": str(made.settings), "ledger": made.origin, "continues": made.after, "leaves": made.leaves,
                "signed_leaves": made.signed, "restored_ledger": str(made.aside), "faults": faults,
                "asked": [{"source": each.source, "leaves": each.size, "trouble": each.trouble} for each in made.heads],
            }
        )  # fmt: skip
        return
    for fault in faults:
        print(fault, file=sys.stderr)
    for each in made.heads:
        if each.trouble:
            print(
                translated("{source} was asked: {trouble}", source=each.source, trouble=each.trouble),
                file=sys.stderr,
            )
    if made.lost:
        lost = Message(
            "{count:,} leaves were signed that this backup does not have: {leaves:,} of {signed:,} are restored",
            count=made.lost,
            leaves=made.leaves,
            signed=made.signed,
        )
        print(translated(lost), file=sys.stderr)
    for message in (
        Message("restored with the settings {path}; check them: idtone doctor -c {path}", path=made.settings),
        Message(
            "the restored calls: idtone ledger list -c {path} --ledger sqlite:///{file}",
            path=made.settings,
            file=made.aside,
        ),
        Message(
            "the next ledger is {origin}, which continues {after}; give its key to your witnesses: idtone-evidence log "
            "key -c {path}",
            origin=made.origin,
            after=made.after,
            path=made.settings,
        ),
    ):
        command_line.say(message)


def _identities(path: Path | None) -> list[Identity]:
    """Secret keys in a file; empty if no file is given.

    Without a file, the archives must already be decrypted. Raises UsageError and BackupError.
    """
    if path is None:
        return []
    try:
        octets = sys.stdin.buffer.read() if path == command_line.STREAM else path.read_bytes()
    except OSError as error:
        raise BackupError(
            "{path}: the secret key cannot be read: {reason}", path=path, reason=error.strerror
        ) from error
    return secret_keys_of(octets)
