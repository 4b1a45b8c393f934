"""`idtone ledger verify | prove | key`: commands that verify the evidence and prove it to others."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from idtone.core.errors import ProofError, UsageError
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress_bar
from idtone.core.translation import Message, translated

from ..keys.key_ring import cosigned_note, own_key
from ..replication.node_ledgers import NodeLedger
from ..store.ledger_reader import whole_id
from ..verification.verification_report import verification_report
from .options import (
    CallArgument,
    CheckpointsOption,
    LedgerOption,
    NodeOption,
    ledgers_of,
    print_given_up_ends,
    read_checkpoints,
    replica_key,
)


def verify(
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    checkpoints: CheckpointsOption = None,
    log_key: Annotated[
        list[str] | None,
        typer.Option(
            "--log-key",
            metavar="VKEY",
            help="The ledger's verifier key (default: that of its signing key); for several nodes it may be repeated.",
        ),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify that no record was changed, removed, inserted, moved or cut off since it was signed.

    The command reads every step and computes every hash again. The service may be running. The tree is compared with
    the ledger's own checkpoint, the checkpoint in ledger.seen_file, and the given checkpoints. In PostgreSQL, each
    node's replica is verified with the given key, or else with the key that PostgreSQL itself has of the node; then
    --json prints an array. The command counts leaves that this node has signed and its replica lacks: they are not
    replicated yet, or were cut off. Exit 1: something is wrong, or a given key or checkpoint belongs to no ledger here.
    """
    settings = load_settings(config)
    keys = _keys(log_key or ())
    notes = read_checkpoints(checkpoints or ())
    ledgers = ledgers_of(config, ledger, node)
    if ledgers.is_shared:
        reports = [
            _verified(each, *_shared_key(each, keys, settings), _of(each, notes), settings) for each in ledgers.nodes
        ]
        unused = _unused([each.origin for each in ledgers.nodes], keys, notes)
    else:
        own = ledgers.nodes[0].reader.origin()
        key = next((key for key in keys if key.name == own), None) or (
            keys[0] if keys else own_key(settings.ledger, settings.node, own)
        )
        reports = [_verified(ledgers.nodes[0], key, "given" if keys else "own", notes, settings)]
        unused = _unused([key.name], keys, ())
    for trouble in unused:
        print(trouble, file=sys.stderr)
    if as_json:
        command_line.print_json(reports if ledgers.is_shared else reports[0])
    else:
        for report in reports:
            _tell(report, ledgers.is_shared)
    if ledgers.unreadable or unused or not all(report["good"] for report in reports):
        command_line.exit_negative()


def _shared_key(ledger: NodeLedger, keys: Sequence[VerifierKey], settings: Settings) -> tuple[VerifierKey, str]:
    given = next((key for key in keys if key.name == ledger.origin), None)
    return (given, "given") if given else replica_key(ledger, settings)


def _of(ledger: NodeLedger, notes: Sequence[tuple[str, Note]]) -> list[tuple[str, Note]]:
    return [(source, note) for source, note in notes if _origin(note) == ledger.origin]


def _unused(origins: Sequence[str], keys: Sequence[VerifierKey], notes: Sequence[tuple[str, Note]]) -> list[str]:
    given = [(f"--log-key {key.name}", key.name) for key in keys]
    given += [
        (Message("{source}: a checkpoint of {origin}", source=source, origin=origin), origin)
        for source, note in notes
        for origin in [_origin(note)]
    ]
    return [
        Message("{what}: there is no ledger by this name", what=what) for what, origin in given if origin not in origins
    ]


def _origin(note: Note) -> str:
    return note.text.partition("\n")[0]


def _verified(
    ledger: NodeLedger, key: VerifierKey, whose: str, notes: Sequence[tuple[str, Note]], settings: Settings
) -> dict[str, Any]:
    with progress_bar(Message("verifying {node}", node=ledger.node)) as progress:
        return {
            "node": ledger.node,
            **verification_report(
                ledger.reader,
                key,
                whose,
                notes,
                settings,
                has_keys=ledger.has_keys,
                arrived=ledger.progress.leaves if ledger.progress else None,
                progress=progress,
            ),
        }


def _tell(report: Mapping[str, Any], with_node: bool) -> None:
    name = f"{report['node']}: " if with_node else ""
    for fault in report["faults"]:
        print(f"{name}{translated(fault)}")
    command_line.say(
        "{name}{verdict}: {leaves:,} leaves of {steps:,} steps",
        name=name,
        verdict=Message("good") if report["good"] else Message("NOT GOOD"),
        leaves=report["leaves"],
        steps=report["steps"],
    )
    if report["key_from"] == "postgresql":
        command_line.say(
            "  key          PostgreSQL itself has it: compare it with what `idtone-evidence log key` prints on the node"
        )
        print(f"               {report['log']}")
    for each in report["signed"]:
        command_line.say("  signed       {leaves:,} leaves ({source})", leaves=each["leaves"], source=each["source"])
    if report["missing_leaves"]:
        command_line.say(
            "  missing      {missing_leaves:,} leaves that this node has signed: not replicated yet, or cut off",
            missing_leaves=report["missing_leaves"],
        )
    command_line.say("  root         {root}", root=report["root"])
    if told := report["continues"]:
        command_line.say(
            "  continues    {origin} after {leaves:,} leaves, set aside as {file}",
            origin=told["origin"],
            leaves=told["leaves"],
            file=told["file"],
        )
        if key := told.get("key"):
            command_line.say("               whose key was {key}", key=key)
    if report["compromised_after"] is not None:
        command_line.say(
            "  compromised  the key is not trusted: only the first {leaves:,} leaves count",
            leaves=report["compromised_after"],
        )
    if ended := report["ended"]:
        command_line.say("  ended        {at}, by {by}: {why}", at=ended["at"], by=ended["by"], why=ended["why"])
        if key := ended.get("next_key"):
            command_line.say("               it continues with the key {key}", key=key)
    print_given_up_ends(report["gives_up"])
    command_line.say(
        "  in progress  {open_calls}, whose steps are in no leaf yet",
        open_calls=command_line.count_with_unit(report["open_calls"], "call"),
    )


def prove(
    call_id: CallArgument,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Print the proof that a call's record is in the signed tree (C2SP tlog-proof), with the record as its extra data.

    The tree is that of the last checkpoint that witnesses have cosigned, if it holds the record. Steps that were
    recorded after the end of the call have separate proofs; --json prints these too. Exit 1: the ledger does not know
    the call, or it is still in progress.
    """
    settings = load_settings(config)
    ledgers = ledgers_of(config, ledger, node)
    call_id = whole_id([each.reader for each in ledgers.nodes], call_id)
    holder = ledgers.ledger_of_call(call_id)
    proven = []
    if holder:
        own = None if ledgers.is_shared else cosigned_note(settings.ledger, settings.node, holder.reader.origin())
        proven = holder.reader.proofs(call_id, holder.cosigned if ledgers.is_shared else own)
    if not proven:
        print(
            translated(
                "no leaf of the ledger's tree holds call {call_id}: it is unknown or not over yet", call_id=call_id
            ),
            file=sys.stderr,
        )
        command_line.exit_negative()
    if as_json:
        command_line.print_json([{"leaf": each.proof.index, "proof": str(each.proof)} for each in proven])
    else:
        print(proven[0].proof, end="")


def show_key(config: command_line.ConfigOption = None) -> None:
    """Print the verifier key of this ledger. Others verify its signatures with it; give it to your witnesses."""
    settings = load_settings(config)
    print(own_key(settings.ledger, settings.node))


def _keys(texts: Sequence[str]) -> list[VerifierKey]:
    keys = list(dict.fromkeys(map(_parse_key, texts)))
    for key, other in pairwise(sorted(keys, key=lambda key: key.name)):
        if key.name == other.name:
            raise UsageError("--log-key: two keys of {name} are given; a ledger has one", name=key.name)
    return keys


def _parse_key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except ProofError as error:
        raise UsageError("--log-key: {error}", error=error) from error
