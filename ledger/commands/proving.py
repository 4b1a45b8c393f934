"""`idtone ledger verify | prove | key`: whether the evidence is what was signed, and how others can tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from idtone import console
from idtone.errors import ProofError, UsageError
from idtone.settings import Settings, load_settings

from ..custody import Seen, continuity_of, own_key
from ..reader import LedgerReader
from ..tree.notes import Note, VerifierKey
from .shared import LedgerOption, reader_of


def verify_ledger(
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that was kept elsewhere; may be repeated."),
    ] = None,
    log_key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="VKEY", help="The ledger's verifier key (default: that of its signing key)."),
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Verify that no record was changed, removed, inserted or moved since it was signed, and none cut off.

    Every step is read and every hash made again; the service may run. It is held against the ledger's own checkpoint,
    the one in ledger.seen_file, and those that are named. Exit 1: something is wrong, and what is told.
    """
    settings = load_settings(config)
    notes = [(str(path), _note(path)) for path in checkpoints or []]
    screen = Console(stderr=True)
    with (
        reader_of(config, ledger) as reader,
        Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar,
    ):
        key = _log_key(log_key, settings, reader)
        if log_key is None:
            notes += _remembered(settings, key)
        task = bar.add_task("verifying", total=None)
        verdict = reader.verify(
            key,
            notes,
            with_days=log_key is None,
            progress=lambda steps, total: bar.update(task, completed=steps, total=total),
        )
        continues = reader.continues()
    report = {
        "good": not verdict.faults,
        "log": str(key),
        "leaves": verdict.leaves,
        "root": verdict.root.hex(),
        "steps": verdict.steps,
        "open_calls": verdict.open_calls,
        "older_steps": verdict.older,
        "signed": [{"source": each.source, "leaves": each.checkpoint.size} for each in verdict.signed],
        "continues": dict(continues.details) if continues else None,
        "faults": verdict.faults,
    }
    if as_json:
        console.print_json(report)
    else:
        for fault in verdict.faults:
            print(fault)
        print(f"{'good' if not verdict.faults else 'NOT GOOD'}: {verdict.leaves:,} leaves of {verdict.steps:,} steps")
        for each in verdict.signed:
            print(f"  signed       {each.checkpoint.size:,} leaves ({each.source})")
        print(f"  root         {verdict.root.hex()}")
        if continues:
            told = continues.details
            print(f"  continues    {told['origin']} after {told['leaves']:,} leaves, set aside as {told['file']}")
        print(f"  in progress  {verdict.open_calls:,} calls, whose steps nothing vouches for yet")
        if verdict.older:
            print(f"  older        {verdict.older:,} steps from before the ledger had a tree")
    if verdict.faults:
        console.negative()


def prove(
    call_id: Annotated[str, typer.Argument(help="The call's id.")],
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Print the proof that a call's record is in the signed tree (C2SP tlog-proof), with the record as its extra data.

    The tree is that of the last checkpoint that witnesses have cosigned, where that holds the record.
    What was told of the call after it was over is proven by further proofs, which --json prints as well. Exit 1: the
    ledger does not know the call, or it is still in progress.
    """
    settings = load_settings(config)
    cosigned = None
    with reader_of(config, ledger) as reader:
        if os.access(settings.ledger.cosigned(), os.R_OK):
            cosigned = Seen(settings.ledger.cosigned()).latest(_log_key(None, settings, reader))
        proven = reader.proofs(call_id, cosigned[0] if cosigned else None)
    if not proven:
        print(f"no leaf of the ledger's tree holds call {call_id}: it is unknown or not over yet", file=sys.stderr)
        console.negative()
    if as_json:
        console.print_json([{"leaf": each.proof.index, "proof": str(each.proof)} for each in proven])
    else:
        print(proven[0].proof, end="")


def show_key(config: console.ConfigOption = None) -> None:
    """Print the verifier key of this ledger, by which others verify what it signs; give it to your witnesses."""
    print(_log_key(None, load_settings(config)))


def _remembered(settings: Settings, key: VerifierKey) -> Iterator[tuple[str, Note]]:
    """What is kept elsewhere of what this tree has signed, and where."""
    if seen := Seen(settings.ledger.seen()).latest(key):
        yield str(settings.ledger.seen()), seen[0]
    for each in continuity_of(settings.ledger, settings.node).trees:
        if each.after == key.name and each.checkpoint:
            yield str(settings.ledger.continued()), Note.parse(each.checkpoint.encode())


def _log_key(text: str | None, settings: Settings, reader: LedgerReader | None = None) -> VerifierKey:
    """One that was given, or our own: by the name that the ledger of `reader` has, where it is one of ours."""
    if text is None:
        return own_key(settings.ledger, settings.node, reader.origin() if reader else None)
    try:
        return VerifierKey.parse(text)
    except ProofError as error:
        raise UsageError(f"--log-key: {error}") from error


def _note(path: Path) -> Note:
    try:
        return Note.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ProofError as error:
        raise UsageError(f"{path}: {error}; name a file with a signed checkpoint") from error
