"""`idtone ledger export`: give evidence out, as a pack that others verify."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from . import console
from .errors import UsageError
from .ledger import steps
from .ledger.acts import record_act
from .ledger.custody import Custody
from .ledger.key_file import read_key
from .ledger.packs import SEAL, Exhibit, Told, digest, packed, seal, told
from .ledger.reader import LedgerReader
from .ledger.report import report
from .ledger.steps import StepKind
from .ledger.tree.notes import Note
from .ledger.zips import write_zip
from .settings import load_settings
from .tones.library import Library, load_library


def export_pack(
    calls: Annotated[list[str], typer.Argument(metavar="CALL…", help="Ids of calls, as `list` and `find` tell them.")],
    case: Annotated[str, typer.Option("--case", metavar="REF", help="What it is for; it is recorded for ever.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The pack, a ZIP file.")],
    sealed: Annotated[bool, typer.Option("--sealed", help="Leave the telephone numbers sealed.")] = False,
    config: console.ConfigOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.

    That it was given out is a record in the ledger itself, before the pack is written. Whoever has the pack verifies it
    by `idtone ledger verify-pack`. It holds the telephone numbers of these calls unless --sealed is given.
    """
    settings = load_settings(config)
    if not case or not case.isprintable() or len(case) > 200:
        raise UsageError("--case needs 1 to 200 printable characters")
    for path in (settings.ledger.key_file, settings.ledger.signing_key()):
        read_key(path)  # one that is missing is not made anew here
    custody = Custody.of(settings.ledger, settings.node)
    log = custody.signer.key
    now = datetime.now(UTC)
    cosigned = custody.cosigned.latest(log)
    with LedgerReader.open(settings.ledger.url, custody.days) as reader:
        exhibits = [
            _exhibit(reader, call_id, cosigned[0] if cosigned else None, sealed) for call_id in dict.fromkeys(calls)
        ]
    tales = [
        told(each.call_id, {proven.proof.index: proven.content for proven in each.proven}, each.record_key)
        for each in exhibits
    ]
    profiles = _profiles(tales, load_library(settings.sounds.profiles))
    page = report(case, now, tales, profiles, str(log))
    if not os.access(output.absolute().parent, os.W_OK):  # before it is recorded
        raise UsageError(f"{output}: cannot be written; name another file")
    made: dict[str, bytes] = {}

    def act(act_id: str) -> steps.Step:
        made.update(packed(case, act_id, now, exhibits, profiles, log, page))
        return steps.exported(act_id, now, case, len(exhibits), sealed, digest(made))

    act_id = record_act(settings.ledger.url, settings.node, custody, act)
    made[SEAL] = seal(made, case, custody.signer)
    write_zip(output, made)
    facts = {"pack": str(output), "calls": len(exhibits), "record": act_id, "sha256": digest(made), "log_key": str(log)}
    if as_json:
        console.print_json(facts)
    else:
        print(*(f"{key:<8} {value}" for key, value in facts.items()), sep="\n")


def _exhibit(reader: LedgerReader, call_id: str, cosigned: Note | None, sealed: bool) -> Exhibit:
    proven = reader.proofs(call_id, cosigned)
    if not proven:
        raise UsageError(f"no leaf of the ledger's tree holds call {call_id}: it is unknown or not over yet")
    key = None if sealed else reader.record_key(call_id)
    return Exhibit(call_id, proven, key)


def _profiles(tales: Sequence[Told], library: Library) -> Mapping[str, Mapping[str, Any]]:
    """What is known of the sounds that were played; of the association's own no more than which it was."""
    found: dict[str, Mapping[str, Any]] = {}
    for tale in tales:
        for step in tale.record.steps:
            if step.kind is not StepKind.SOUND_STARTED:
                continue
            name = str(step.details.get("profile"))
            profile = library.get(name)
            known = profile.model_dump(mode="json", exclude_defaults=True) if profile else {"id": name, "title": None}
            if profile and profile.standard:
                known = {field: known.get(field) for field in ("id", "title", "standard", "sha256")}
            found[name] = {**known, "played_sha256": step.details.get("sha256")}
    return found
