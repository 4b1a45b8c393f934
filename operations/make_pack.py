"""Makes evidence packs, and requests for them, according to the rules in the settings."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from idtone.core.errors import UsageError
from idtone.core.persons import Person
from idtone.core.settings.settings import Settings
from idtone.core.terminal.prompts import parse_day
from idtone.core.text_cleaning import forbidden_character
from idtone.core.translation import translated
from idtone.ledger.commands.options import parse_since
from idtone.ledger.disclosure.disclosure_request import DisclosureRequest, DisclosureRules, RequestState, requests
from idtone.ledger.disclosure.evidence_report import report
from idtone.ledger.disclosure.legal_basis import (
    LegalBasis,
    basis_objection,
    complete_basis,
    load_legal_bases,
    text_objection,
)
from idtone.ledger.disclosure.log_registration import log_registration, registries_of
from idtone.ledger.disclosure.pack import SEAL, PackRecord, digest, pack_files, read_record, seal
from idtone.ledger.disclosure.pack_rules import PackedLeaf, leaf_faults
from idtone.ledger.disclosure.packed_calls import packed_calls, selection_digest
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.disclosure.report_files import played_files, report_files
from idtone.ledger.evidence import steps
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.key_ring import require_keys as require_log_keys
from idtone.ledger.keys.timestamp_store import Stamp, Stamps
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.ledger_reader import LedgerReader, whole_id
from idtone.ledger.store.postgresql import Server
from idtone.registry.used_registries import FOLDER, UsedRegistries
from idtone.tones.profile_library import ProfileLibrary, load_library

from .registry_excerpts import registry_excerpts


@dataclass(frozen=True, slots=True)
class MadePack:
    """A finished evidence pack, with its files and its record in the ledger.

    `record` is the id of the act that records the disclosure in the ledger. `sha256` is the digest of the pack's
    manifest.
    """

    files: Mapping[str, bytes]
    calls: int
    record: str
    sha256: str
    log_key: str


def require_keys(settings: Settings) -> None:
    """Raise LedgerError if one of the ledger's keys is missing.

    No export and no answer to a request may create a key.
    """
    require_log_keys(settings.ledger, settings.node)


def checked_case(case: str | None) -> str:
    """Validate a case reference.

    Raises UsageError if the text cannot be recorded.
    """
    if character := forbidden_character(case or ""):
        raise UsageError(
            "--case needs 1 to 200 printable characters; {character} is not printable", character=character
        )
    if not case or len(case) > 200:
        raise UsageError("--case needs 1 to 200 printable characters")
    return case


def basis_of(settings: Settings, case: str, sealed: bool, demand: Mapping[str, str | None]) -> LegalBasis:
    """The legal basis of a demand for evidence.

    `demand` has the texts by option name of `idtone ledger export`. Raises UsageError if a required text is missing.
    """
    bases, now = load_legal_bases(settings.ledger.legal_bases), datetime.now(UTC)
    if demand["basis"] is None:
        raise UsageError("name the legal basis with --basis: {known}", known=", ".join(bases.bases))
    if why := text_objection("case", case):
        raise UsageError(why)
    moment = demand["received"]
    given = LegalBasis(
        demand["basis"],
        "",
        demand["authority"],
        demand["reference"],
        demand["scope"],
        None if moment is None else parse_since(moment, now, "--received").replace(microsecond=0),
        _day("--deadline", demand["deadline"]),
        demand["court"],
        _day("--valid-until", demand["valid_until"]),
        demand["why"],
    )
    basis = complete_basis(given, bases)
    if objection := basis_objection(basis, sealed, bases, now):
        raise UsageError(objection)
    return basis


def _day(option: str, text: str | None) -> date | None:
    return None if text is None else parse_day(text, option)


def _whole(reader: LedgerReader, calls: Sequence[str]) -> list[str]:
    """Complete abbreviated call ids, and print the completed ids."""
    whole = [whole_id([reader], call) for call in calls]
    for given, call in zip(calls, whole, strict=True):
        if call != given:
            print(translated("{given}: call {call}", given=given, call=call), file=sys.stderr)
    return whole


def _refuse_other_nodes(settings: Settings, reader: LedgerReader, calls: Sequence[str]) -> None:
    """Raise UsageError if a call belongs to another node.

    Only that node has the key to seal a pack with the call.
    """
    unknown = [call for call in calls if not reader.knows(call)]
    if not unknown or not settings.ledger.is_shared():
        return
    ledgers = Ledgers.in_postgresql(Server.all_of(settings.ledger), {})
    for call in unknown:
        names = [each.node for each in ledgers.nodes if each.reader.knows(call)]
        if names:
            raise UsageError(
                "call {call} is in the ledger of {names}: run this there", call=call, names=" and ".join(names)
            )


def request_pack(
    settings: Settings, person: Person, case: str, calls: Sequence[str], sealed: bool, basis: LegalBasis
) -> dict[str, object]:
    """Record a request for an evidence pack, which another person then has to approve.

    Raises UsageError and LedgerError.
    """
    now = datetime.now(UTC)
    key_ring = KeyRing.of(settings.ledger, settings.node)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        calls = _whole(reader, calls)
        _refuse_other_nodes(settings, reader, calls)
        chosen = packed_calls(reader, calls, None, sealed=True)
    until, digest_ = now + settings.ledger.approval, selection_digest(case, sealed, chosen, basis)
    act_id = record_act(
        settings.ledger.own_url(),
        settings.node,
        key_ring,
        lambda act: steps.export_requested(
            act,
            now,
            person,
            case,
            [each.call_id for each in chosen],
            sealed,
            digest_,
            until,
            basis.details(),
        ),
        DisclosureRules.of(settings.ledger),
    )
    return {"request": act_id, "calls": len(chosen), "by": str(person), "until": until.isoformat()}


def approved_pack(settings: Settings, person: Person, request_id: str) -> MadePack:
    """Make the evidence pack for an approved request.

    After an error, nothing may be disclosed. Raises UsageError and LedgerError.
    """
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        request = requests(reader.acts()).get(request_id)
    if request is None:
        raise UsageError(
            "no request {request_id!r}; `idtone-evidence disclosure requests` lists all", request_id=request_id
        )
    state = request.state(datetime.now(UTC))
    if state is not RequestState.APPROVED:
        raise UsageError(
            "request {request_id} is {state}; only an approved request can be exported",
            request_id=request_id,
            state=state,
        )
    if request.basis is None:
        raise UsageError("the request names no legal basis; request these calls again")
    return make_pack(settings, person, request.case, request.calls, request.sealed, request.basis, request)


def make_pack(
    settings: Settings,
    person: Person,
    case: str,
    calls: Sequence[str],
    sealed: bool,
    basis: LegalBasis,
    request: DisclosureRequest | None = None,
    ledger: str | None = None,
) -> MadePack:
    """Record that a person discloses calls, then make the evidence pack.

    Raises UsageError and LedgerError.
    """
    key_ring = KeyRing.of(settings.ledger, settings.node)
    now = datetime.now(UTC)
    with LedgerReader.open(ledger if ledger is not None else settings.ledger.own_url(), key_ring.days) as reader:
        calls = _whole(reader, calls)
        if ledger is None:
            _refuse_other_nodes(settings, reader, calls)
        signer = key_ring.signer_of(reader.origin())
        log = signer.key
        cosigned = key_ring.cosigned.latest(log)
        note = cosigned[0] if cosigned else None
        origin, stamps, stamped = signer.key.name, Stamps(settings.ledger.stamps()), dict[int, bytes]()

        def stamp_of(leaf: int) -> Stamp | None:
            stamp = stamps.covering(origin, leaf)
            if stamp:
                stamped[stamp.size] = stamp.reply
            return stamp

        chosen = packed_calls(reader, calls, note, sealed, stamp_of)
        acts = [request.act, request.approval.act] if request and request.approval else []
        approval = packed_calls(reader, acts, note, True, stamp_of)
    digest_ = selection_digest(case, sealed, chosen, basis)
    if request and digest_ != request.selection:
        raise UsageError("these calls have new records since the request; request them again")
    summaries = [
        read_record(each.call_id, {proven.proof.index: proven.content for proven in each.proven}, each.record_key)
        for each in chosen
    ]
    profiles = _profiles(summaries, load_library(settings.sounds.profiles))
    policy = settings.policy.policy(settings.association.member)
    registries, last, missing = registry_excerpts(summaries, UsedRegistries(settings.registry.cache / FOLDER), policy)
    for error in missing:
        print(translated("the pack lacks a registry: {error}", error=error), file=sys.stderr)
    shown = {f"registry/{sha256}.json": content for sha256, content in registries.items()}
    heads = [proven.proof.checkpoint for each in (*chosen, *approval) for proven in each.proven]
    of_calls = [each.record for each in summaries]
    registration, wrong = log_registration(registries_of(shown), log, heads, of_calls, now, {}, now=now)
    leaves = [
        PackedLeaf(proven.proof.index, proven.content, proven.proof.checkpoint)
        for each in (*chosen, *approval)
        for proven in each.proven
    ]
    for fault in (*wrong, *leaf_faults(leaves, now, ())):
        print(translated("the pack will not be good: {fault}", fault=fault), file=sys.stderr)
    reports = report_files(report(case, now, summaries, profiles, str(log), basis, request, registration))
    made: dict[str, bytes] = {}

    def act(act_id: str) -> steps.Step:
        made.update(
            pack_files(case, act_id, now, chosen, profiles, log, reports, basis, approval, registries, stamped, last)
        )
        approved = (request.act, digest_) if request else None
        return steps.exported(act_id, now, person, case, len(chosen), sealed, digest(made), approved, basis.details())

    act_id = record_act(settings.ledger.own_url(), settings.node, key_ring, act, DisclosureRules.of(settings.ledger))
    made[SEAL] = seal(made, case, signer)
    return MadePack(made, len(chosen), act_id, digest(made), str(log))


def _profiles(summaries: Sequence[PackRecord], library: ProfileLibrary) -> Mapping[str, Mapping[str, Any]]:
    """The profiles of the sounds that were played, by id.

    The association's own sound is omitted, because its form is secret.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name, played in played_files(summary.record for summary in summaries).items():
        profile = library.get(name)
        known = profile.model_dump(mode="json", exclude_defaults=True) if profile else {"id": name, "title": None}
        if profile and profile.standard:
            known = {field: known.get(field) for field in ("id", "title", "standard", "sha256")}
        found[name] = {**known, "played_sha256": played}
    return found
