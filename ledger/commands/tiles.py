"""`idtone-evidence log tiles` and `verify tiles`: commands that publish the evidence as static files and verify it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.signed_notes import Algorithm, Note, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress_bar
from idtone.core.translation import Message, translated

from ..keys.key_ring import cosigned_note, own_key
from ..replication.node_ledgers import NodeLedger
from ..tiles.tile_source import tile_source
from ..tiles.tile_writer import TilesWritten, write_tiles
from ..tiles.tiles_verification import TilesVerdict
from ..tiles.tiles_verification import verify_tiles as verified
from ..tree.checkpoints import Checkpoint
from .options import (
    CheckpointsOption,
    LedgerOption,
    NodeOption,
    WitnessKeysOption,
    ledgers_of,
    parse_key,
    print_given_up_ends,
    read_checkpoints,
    replica_key,
)

_PART: Final = re.compile(r"(?!\.{1,2}$)[^/\0]+")


def tiles(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder above those of the ledgers.")],
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    uncosigned: Annotated[
        bool,
        typer.Option("--uncosigned", help="Publish what was signed last, even if witnesses have not cosigned it yet."),
    ] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Write the ledger as static files (C2SP tlog-tiles), or add new entries, so that others can read and verify it.

    Each ledger gets its own folder, named after the ledger, such as DIR/pbx-1/idtone. The command publishes the ledger
    up to the last checkpoint that witnesses have cosigned; without witnesses, up to the last signed checkpoint. It
    verifies everything first, and never changes existing files. Run it as often as you like, and upload the files
    `checkpoint` last. Everyone who reads the files sees every record except the numbers. Only the owner and the group
    of DIR can read the files. Exit 1: a ledger could not be published.
    """
    settings = load_settings(config)
    ledgers = ledgers_of(config, ledger, node)
    failed = bool(ledgers.unreadable)
    reports = []
    for each in ledgers.nodes:
        try:
            written, signed = _written(each, directory, settings, ledgers.is_shared, uncosigned)
        except LedgerError as error:
            print(f"{each.origin}: {error}", file=sys.stderr)
            failed = True
            continue
        if written is None:
            print(translated("{origin}: nothing was signed yet", origin=each.origin), file=sys.stderr)
            continue
        reports.append(_report(each, written, signed))
        if not as_json:
            _tell(each, written, signed)
    if as_json:
        command_line.print_json(reports)
    if failed:
        command_line.exit_negative()


def _written(
    ledger: NodeLedger, directory: Path, settings: Settings, is_shared: bool, uncosigned: bool
) -> tuple[TilesWritten | None, int]:
    """Write a ledger's files; return a summary (None if it has no checkpoint) and its number of signed leaves.

    Raises LedgerError.
    """
    own = ledger.reader.checkpoint()
    if own is None:
        return None, 0
    note = Note.parse(own.encode())
    signed = Checkpoint.parse(note.text)
    origin = signed.origin
    key, cosigned = _key_and_cosigned(ledger, origin, settings, is_shared)
    if cosigned and not uncosigned and Checkpoint.parse(cosigned.text).size <= signed.size:
        note = cosigned
    with progress_bar(origin) as progress:
        return write_tiles(ledger.reader.database, key, note, directory / _folder(origin), progress), signed.size


def _key_and_cosigned(
    ledger: NodeLedger, origin: str, settings: Settings, is_shared: bool
) -> tuple[VerifierKey, Note | None]:
    if is_shared:
        return replica_key(ledger, settings)[0], ledger.cosigned
    key = own_key(settings.ledger, settings.node, origin)
    return key, cosigned_note(settings.ledger, settings.node, origin) if settings.ledger.witnesses else None


def _folder(origin: str) -> str:
    """Path of a ledger's folder within the common folder.

    Raises LedgerError if the ledger's name cannot be used as a folder name.
    """
    parts = origin.split("/")
    if not all(map(_PART.fullmatch, parts)) or {"tile", "checkpoint"} & set(parts):
        raise LedgerError("its name cannot be that of a folder; give it another one (ledger.origin)")
    return origin


def _report(ledger: NodeLedger, written: TilesWritten, signed: int) -> dict[str, Any]:
    return {
        "node": ledger.node,
        "log": ledger.origin,
        "folder": str(written.folder),
        "leaves": written.leaves,
        "new_leaves": written.leaves - written.before,
        "signed": signed,
        "cosigned_by": list(written.cosigners),
        "files": written.files,
        "bytes": written.octets,
    }


def _tell(ledger: NodeLedger, written: TilesWritten, signed: int) -> None:
    command_line.say(
        "{origin}: {leaves:,} leaves, {new:,} of them new",
        origin=ledger.origin,
        leaves=written.leaves,
        new=written.leaves - written.before,
    )
    command_line.say("  folder       {folder}", folder=written.folder)
    command_line.say("  written      {files:,} files, {octets:,} bytes", files=written.files, octets=written.octets)
    if written.cosigners:
        command_line.say("  cosigned by  {cosigners}", cosigners=", ".join(written.cosigners))
    if signed > written.leaves:
        command_line.say(
            "  waiting      {leaves:,} leaves, which witnesses have not cosigned yet", leaves=signed - written.leaves
        )


def verify_tiles(
    place: Annotated[
        str, typer.Argument(metavar="DIR|URL", help="The folder with the file `checkpoint`, or its https:// address.")
    ],
    log_key: Annotated[
        str,
        typer.Option(
            "--log-key",
            metavar="VKEY",
            help="The ledger's verifier key (idtone-evidence log key), from the ledger's owner.",
        ),
    ],
    witness_keys: WitnessKeysOption = None,
    checkpoints: CheckpointsOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify a ledger from its static files (C2SP tlog-tiles): the signature, every tile, and every record.

    It needs only the files, and reads no settings. Keep the file `checkpoint`, and give it the next time: the command
    then verifies that nothing in it was changed or cut off. For a server that asks for a user and a password, write
    them into ~/.netrc. Exit 1: something is wrong, or a given witness has not cosigned.
    """
    log = parse_key("--log-key", log_key, Algorithm.ED25519)
    witnesses = [parse_key("--witness-key", each, Algorithm.COSIGNATURE) for each in witness_keys or []]
    notes = read_checkpoints(checkpoints or ())
    source = tile_source(place)
    with progress_bar(f"verifying {log.name}") as progress:
        verdict = verified(source, log, witnesses, notes, progress)
    if as_json:
        command_line.print_json(_verdict_report(verdict, log))
    else:
        _tell_verdict(verdict)
    if verdict.faults:
        command_line.exit_negative()


def _verdict_report(verdict: TilesVerdict, log: VerifierKey) -> dict[str, Any]:
    return {
        "good": not verdict.faults,
        "log": str(log),
        "leaves": verdict.leaves,
        "root": verdict.root.hex(),
        "steps": verdict.steps,
        "awaited_steps": verdict.awaited,
        "cosigners": [each.name for each in verdict.cosigners],
        "gives_up": [each.to_json() for each in verdict.gives_up.counted],
        "faults": verdict.faults,
    }


def _tell_verdict(verdict: TilesVerdict) -> None:
    for fault in verdict.faults:
        print(fault)
    command_line.say(
        "{verdict}: {leaves:,} leaves of {steps:,} steps",
        verdict=Message("NOT GOOD") if verdict.faults else Message("good"),
        leaves=verdict.leaves,
        steps=verdict.steps,
    )
    for witness in verdict.cosigners:
        command_line.say("  cosigned by  {name}", name=witness.name)
    command_line.say("  root         {root}", root=verdict.root.hex())
    print_given_up_ends(each.to_json() for each in verdict.gives_up.counted)
    command_line.say("  in progress  {awaited:,} steps between these are in no leaf yet", awaited=verdict.awaited)
