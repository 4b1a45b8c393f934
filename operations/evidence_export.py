"""`idtone ledger export`: makes an evidence pack, which others can verify, or requests one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone import console
from idtone.errors import UsageError
from idtone.ledger.commands.shared import LedgerOption, answerable, complete_call, whole_id
from idtone.ledger.disclosure.disclosure_request import DisclosureRequest, DisclosureRules, RequestState, requests
from idtone.ledger.disclosure.evidence_report import report
from idtone.ledger.disclosure.pack import PAPER, REPORT, SEAL, PackRecord, digest, packed, seal, told
from idtone.ledger.disclosure.pack_file import write_zip
from idtone.ledger.disclosure.packed_calls import packed_calls, selected
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.key_file import read_key
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.paper.content import Paper
from idtone.paper.html import as_html
from idtone.persons import Person, acting
from idtone.settings import Exports, Settings, load_settings
from idtone.tones.profile_library import Library, load_library
from idtone.translation import Message


def export_pack(
    calls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CALL]…",
            help="Ids of calls, as `list` and `find` show them, or unique beginnings of ids.",
            autocompletion=complete_call,
        ),
    ] = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="REF", help="The case that the pack is for; recorded for ever.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The pack, a ZIP file.")] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="Leave the telephone numbers sealed.")] = False,
    request: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Make the pack that was requested and approved.")
    ] = None,
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.

    The ledger records the export before the pack is written. Anyone who has the pack can verify it with
    `idtone ledger verify-pack`. The pack has the telephone numbers of these calls unless --sealed is given.

    If exports take two persons (`ledger.exports`), CALL and --case enter a request and print its id. When another
    person has approved it (`idtone ledger approve`), one of the two makes the pack with --request ID -o FILE.
    """
    settings = load_settings(config)
    for path in (settings.ledger.key_file, settings.ledger.signing_key()):
        read_key(path)  # raises if it is missing: an export must not create a new key
    two_persons = settings.ledger.exports is Exports.TWO_PERSONS
    if ledger is not None and (two_persons or request is not None):
        raise UsageError(
            Message("--ledger is only for exports by one person; a request names calls in this node's own ledger")
        )
    if request is not None:
        if calls or case is not None or sealed:
            raise UsageError(Message("--request already names calls and case; leave out CALL, --case and --sealed"))
        facts = _make_approved(settings, request, _writable(output))
    else:
        if not calls:
            raise UsageError(Message("name the calls to export"))
        if not case or not case.isprintable() or len(case) > 200:
            raise UsageError(Message("--case needs 1 to 200 printable characters"))
        if two_persons and output:
            raise UsageError(
                Message("exports take two persons here: leave out -o, and give it later, together with --request")
            )
        facts = (
            _request(settings, case, calls, sealed)
            if two_persons
            else _make(settings, case, calls, sealed, _writable(output), acting(), None, ledger)
        )
    if as_json:
        console.print_json(facts)
    else:
        print(*(f"{key:<8} {value}" for key, value in facts.items()), sep="\n")


def _whole(reader: LedgerReader, calls: Sequence[str]) -> list[str]:
    """The whole ids of the calls. Prints the ids of calls that were named by their beginnings."""
    whole = [whole_id([reader], call) for call in calls]
    for given, call in zip(calls, whole, strict=True):
        if call != given:
            print(f"{given}: call {call}", file=sys.stderr)
    return whole


def _refuse_other_nodes(settings: Settings, reader: LedgerReader, calls: Sequence[str]) -> None:
    """Raises UsageError if a call is in another node's ledger: only that node has the key that seals its pack."""
    unknown = [call for call in calls if not reader.knows(call)]
    if not unknown or not settings.ledger.is_shared():
        return
    ledgers = Ledgers.in_postgresql(Server.of(settings.ledger), {})
    for call in unknown:
        names = [each.node for each in ledgers.nodes if each.reader.knows(call)]
        if names:
            raise UsageError(
                Message("call {call} is in the ledger of {names}: run this there", call=call, names=" and ".join(names))
            )


def _writable(output: Path | None) -> Path:
    if output is None:
        raise UsageError(Message("name the pack's file with -o"))
    if not os.access(output.absolute().parent, os.W_OK):  # before it is recorded
        raise UsageError(Message("{output}: cannot be written; name another file", output=output))
    return output


def _request(settings: Settings, case: str, calls: Sequence[str], sealed: bool) -> dict[str, object]:
    person, now = answerable(settings.ledger), datetime.now(UTC)
    key_ring = KeyRing.of(settings.ledger, settings.node)
    with LedgerReader.open(settings.ledger.own()) as reader:
        calls = _whole(reader, calls)
        _refuse_other_nodes(settings, reader, calls)
        chosen = packed_calls(reader, calls, None, sealed=True)
    until, digest_ = now + settings.ledger.approval, selected(case, sealed, chosen)
    act_id = record_act(
        settings.ledger.own(), settings.node, key_ring,
        lambda act: steps.export_requested(
            act, now, person, case, [each.call_id for each in chosen], sealed, digest_, until
        ),
        DisclosureRules.of(settings.ledger),
    )  # fmt: skip
    return {"request": act_id, "calls": len(chosen), "by": str(person), "until": until.isoformat()}


def _make_approved(settings: Settings, request_id: str, output: Path) -> dict[str, object]:
    person = answerable(settings.ledger)
    with LedgerReader.open(settings.ledger.own()) as reader:
        request = requests(reader.acts()).get(request_id)
    if request is None:
        raise UsageError(
            Message("no request {request_id!r}; `idtone ledger requests` lists all", request_id=request_id)
        )
    state = request.state(datetime.now(UTC))
    if state is not RequestState.APPROVED:
        raise UsageError(
            Message(
                "request {request_id} is {state}; only an approved request can be exported",
                request_id=request_id,
                state=state,
            )
        )
    return _make(settings, request.case, request.calls, request.sealed, output, person, request)


def _make(
    settings: Settings,
    case: str,
    calls: Sequence[str],
    sealed: bool,
    output: Path,
    person: Person,
    request: DisclosureRequest | None,
    ledger: str | None = None,
) -> dict[str, object]:
    key_ring = KeyRing.of(settings.ledger, settings.node)
    now = datetime.now(UTC)
    with LedgerReader.open(ledger if ledger is not None else settings.ledger.own(), key_ring.days) as reader:
        calls = _whole(reader, calls)
        if ledger is None:
            _refuse_other_nodes(settings, reader, calls)
        signer = key_ring.signer_of(reader.origin())
        log = signer.key
        cosigned = key_ring.cosigned.latest(log)
        note = cosigned[0] if cosigned else None
        chosen = packed_calls(reader, calls, note, sealed)
        acts = [request.act, request.approval.act] if request and request.approval else []
        approval = packed_calls(reader, acts, note, sealed=True)
    digest_ = selected(case, sealed, chosen)
    if request and digest_ != request.selection:
        raise UsageError(Message("these calls have new records since the request; request them again"))
    summaries = [
        told(each.call_id, {proven.proof.index: proven.content for proven in each.proven}, each.record_key)
        for each in chosen
    ]
    profiles = _profiles(summaries, load_library(settings.sounds.profiles))
    reports = _reports(report(case, now, summaries, profiles, str(log), request))
    made: dict[str, bytes] = {}

    def act(act_id: str) -> steps.Step:
        made.update(packed(case, act_id, now, chosen, profiles, log, reports, approval))
        approved = (request.act, digest_) if request else None
        return steps.exported(act_id, now, person, case, len(chosen), sealed, digest(made), approved)

    act_id = record_act(settings.ledger.own(), settings.node, key_ring, act, DisclosureRules.of(settings.ledger))
    made[SEAL] = seal(made, case, signer)
    write_zip(output, made)
    return {"pack": str(output), "calls": len(chosen), "record": act_id, "sha256": digest(made), "log_key": str(log)}


def _reports(content: Paper) -> dict[str, bytes]:
    from idtone.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    return {REPORT: as_html(content), PAPER: as_pdf(content)}


def _profiles(summaries: Sequence[PackRecord], library: Library) -> Mapping[str, Mapping[str, Any]]:
    """The profiles of the sounds that were played. The association's own gets only its identity: its form is secret."""
    found: dict[str, Mapping[str, Any]] = {}
    for summary in summaries:
        for step in summary.record.steps:
            if step.kind is not StepKind.SOUND_STARTED:
                continue
            name = str(step.details.get("profile"))
            profile = library.get(name)
            known = profile.model_dump(mode="json", exclude_defaults=True) if profile else {"id": name, "title": None}
            if profile and profile.standard:
                known = {field: known.get(field) for field in ("id", "title", "standard", "sha256")}
            found[name] = {**known, "played_sha256": step.details.get("sha256")}
    return found
