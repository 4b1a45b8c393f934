"""`idtone ledger export`: makes an evidence pack, which others can verify, or requests one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone import command_line
from idtone.errors import UsageError
from idtone.ledger.commands.shared import LedgerOption, answerable, complete_call, parse_since, whole_id
from idtone.ledger.disclosure.disclosure_request import DisclosureRequest, DisclosureRules, RequestState, requests
from idtone.ledger.disclosure.evidence_report import report
from idtone.ledger.disclosure.legal_basis import (
    LegalBasis,
    basis_objection,
    completed,
    load_legal_bases,
    text_objection,
)
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
    basis: Annotated[
        str | None,
        typer.Option(
            "--basis",
            metavar="WORD",
            help="The legal basis: inquiry, warrant, emergency, consent, or another word of ledger.legal_bases.",
        ),
    ] = None,
    authority: Annotated[str | None, typer.Option("--authority", metavar="TEXT", help="The office that asks.")] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="The number of its document.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="TEXT", help="What was asked, in words, without telephone numbers."),
    ] = None,
    received: Annotated[
        str | None,
        typer.Option("--received", metavar="TIME", help="When the demand arrived, like 2026-11-26T10:00+09:00 or 2h."),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="DAY", help="By when the office wants an answer.")
    ] = None,
    court: Annotated[
        str | None, typer.Option("--court", metavar="TEXT", help="The court that has issued the warrant.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option("--valid-until", metavar="DAY", help="The last day on which the warrant is valid.")
    ] = None,
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="Why it cannot wait for a document (emergency).")
    ] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.

    The ledger records the export before the pack is written. Anyone who has the pack can verify it with
    `idtone ledger verify-pack`. The pack has the telephone numbers of these calls unless --sealed is given.

    The legal basis and what it needs (`ledger.legal_bases`) are recorded for ever, in the ledger, the pack and its
    report. Telephone numbers must not be in these texts.

    If exports take two persons (`ledger.exports`), CALL, --case and the basis enter a request and print its id. When
    another person has approved it (`idtone ledger approve`), one of the two makes the pack with --request ID -o FILE.
    """
    settings = load_settings(config)
    for path in (settings.ledger.key_file, settings.ledger.signing_key()):
        read_key(path)  # raises if it is missing: an export must not create a new key
    two_persons = settings.ledger.exports is Exports.TWO_PERSONS
    demand = {
        "basis": basis, "authority": authority, "reference": reference, "scope": scope, "received": received,
        "deadline": deadline, "court": court, "valid_until": valid_until, "why": why,
    }  # fmt: skip
    if ledger is not None and (two_persons or request is not None):
        raise UsageError(
            Message("--ledger is only for exports by one person; a request names calls in this node's own ledger")
        )
    if request is not None:
        if calls or case is not None or sealed or any(each is not None for each in demand.values()):
            raise UsageError(
                Message("--request already names calls, case and legal basis; give --request and -o alone")
            )
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
        legal = _basis(settings, case, sealed, demand)
        facts = (
            _request(settings, case, calls, sealed, legal)
            if two_persons
            else _make(settings, case, calls, sealed, legal, _writable(output), acting(), None, ledger)
        )
    if as_json:
        command_line.print_json(facts)
    else:
        print(*(f"{key:<8} {value}" for key, value in facts.items()), sep="\n")


def _basis(settings: Settings, case: str, sealed: bool, demand: Mapping[str, str | None]) -> LegalBasis:
    """Raises UsageError if the demand does not have what its basis needs."""
    bases, now = load_legal_bases(settings.ledger.legal_bases), datetime.now(UTC)
    if demand["basis"] is None:
        raise UsageError(
            Message("name the legal basis with --basis: {known}", known=", ".join(bases.bases))
        )  # fmt: skip
    if why := text_objection("case", case):
        raise UsageError(why)
    moment = demand["received"]
    given = LegalBasis(
        demand["basis"], "", demand["authority"], demand["reference"], demand["scope"],
        None if moment is None else parse_since(moment, now, "--received").replace(microsecond=0),
        _day("--deadline", demand["deadline"]), demand["court"], _day("--valid-until", demand["valid_until"]),
        demand["why"],
    )  # fmt: skip
    basis = completed(given, bases)
    if objection := basis_objection(basis, sealed, bases, now):
        raise UsageError(objection)
    return basis


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            Message("{option} {text!r} is not a day; write it like 2026-12-01", option=option, text=text)
        ) from error


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


def _request(settings: Settings, case: str, calls: Sequence[str], sealed: bool, basis: LegalBasis) -> dict[str, object]:
    person, now = answerable(settings.ledger), datetime.now(UTC)
    key_ring = KeyRing.of(settings.ledger, settings.node)
    with LedgerReader.open(settings.ledger.own()) as reader:
        calls = _whole(reader, calls)
        _refuse_other_nodes(settings, reader, calls)
        chosen = packed_calls(reader, calls, None, sealed=True)
    until, digest_ = now + settings.ledger.approval, selected(case, sealed, chosen, basis)
    act_id = record_act(
        settings.ledger.own(), settings.node, key_ring,
        lambda act: steps.export_requested(
            act, now, person, case, [each.call_id for each in chosen], sealed, digest_, until,
            basis.details(),
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
    if request.basis is None:
        raise UsageError(Message("the request names no legal basis; request these calls again"))
    return _make(settings, request.case, request.calls, request.sealed, request.basis, output, person, request)


def _make(
    settings: Settings,
    case: str,
    calls: Sequence[str],
    sealed: bool,
    basis: LegalBasis,
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
    digest_ = selected(case, sealed, chosen, basis)
    if request and digest_ != request.selection:
        raise UsageError(Message("these calls have new records since the request; request them again"))
    summaries = [
        told(each.call_id, {proven.proof.index: proven.content for proven in each.proven}, each.record_key)
        for each in chosen
    ]
    profiles = _profiles(summaries, load_library(settings.sounds.profiles))
    reports = _reports(report(case, now, summaries, profiles, str(log), basis, request))
    made: dict[str, bytes] = {}

    def act(act_id: str) -> steps.Step:
        made.update(packed(case, act_id, now, chosen, profiles, log, reports, basis, approval))
        approved = (request.act, digest_) if request else None
        return steps.exported(act_id, now, person, case, len(chosen), sealed, digest(made), approved, basis.details())

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
