"""Verification of an evidence pack's seal, its files, and the proof of each record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import rfc8785
from cryptography.x509 import Certificate

from idtone.core.calls import Trust
from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Algorithm, Note, VerifierKey, decode_base64
from idtone.core.translation import Message

from ..evidence.format_rules import Breach, Rule, RuleError, breach
from ..evidence.leaf_rules import strict_time
from ..evidence.steps import Scalar, Step
from ..keys.key_file import KEY_BYTES
from ..tree.checkpoints import verified_checkpoint
from ..tree.inclusion_proof import InclusionProof
from .disclosure_request import DisclosureRequest, RequestState, requests
from .legal_basis import LegalBasis
from .log_registration import LogRegistration, Registry, log_registration, registries_of
from .pack import (
    FORMAT,
    MANIFEST,
    ONE_PERSON,
    PAPER,
    PROFILE,
    REGISTRY,
    REPORT,
    SEAL,
    SEAL_TEXT,
    TIMESTAMP,
    TWO_PERSONS,
    WITHOUT_BASIS,
    PackRecord,
    digest,
    leaf_files,
    parse_strict_json,
    read_record,
    selection,
)
from .pack_rules import PackedLeaf, basis_faults, leaf_faults, registry_faults, time_faults, timestamp_times

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass
class PackVerdict:
    """The result of verifying an evidence pack.

    `told` are the proven records. `cosigners` are the witnesses that cosigned a tree with all these records. `basis` is
    the legal basis, or None in a pack of the first format. `request` is the approved request, also proven, or None if
    the pack shows no approval.
    """

    case: str = ""
    exported: str = ""
    basis: LegalBasis | None = None
    log: VerifierKey | None = None
    log_is_known: bool = False
    policy: str = ONE_PERSON
    request: DisclosureRequest | None = None
    cosigners: tuple[VerifierKey, ...] = ()
    leaves: int = 0
    checkpoint: Note | None = None
    """The signed head of the largest tree in the pack, which has `leaves` leaves."""
    stamps: Mapping[int, datetime] = field(default_factory=dict)
    """Tree size → the time at which that tree existed, according to its timestamp."""
    heads: Sequence[Note] = ()
    """The signed heads to which the proofs lead."""
    registration: LogRegistration = field(default_factory=LogRegistration)
    """The log's owner and accepted witnesses, according to the association's registry."""
    told: list[PackRecord] = field(default_factory=list)
    faults: list[Breach] = field(default_factory=list)
    not_compared: tuple[str, ...] = ()
    """Reports in the pack that were not compared with the leaves because the part `office` is not installed."""


def verify_pack_files(
    files: Mapping[str, bytes],
    log: VerifierKey | None,
    witnesses: Sequence[VerifierKey] = (),
    now: datetime | None = None,
    stamp_roots: Sequence[Certificate] = (),
    root: Metadata[Root] | None = None,
    today: Sequence[Registry] = (),
) -> PackVerdict:
    """Verify an evidence pack's seal, its files, and the proof of each record.

    The log must have sealed the pack, and its signed tree must contain each record. `log` is the log's key from a
    source other than the pack. If it is None, the pack's own key is used, which anyone could have made. `now` is the
    verifier's current time.

    With `stamp_roots`, each tree needs a timestamp whose certificates lead to one of these roots. With `root`, the
    association's root, the registry must name the log, and enough witnesses must have cosigned. `today` contains the
    current registries. If there are any, they replace the registries in the pack.
    """
    verdict = PackVerdict(log_is_known=log is not None)
    wrong = [each.name for each in (log,) if each and each.algorithm is not Algorithm.ED25519]
    wrong += [each.name for each in witnesses if each.algorithm is not Algorithm.COSIGNATURE]
    if wrong:
        other = Message(
            "the key of {names} is of another kind: a log key cannot be a witness key", names=", ".join(wrong)
        )
        verdict.faults.append(breach(Rule.KEYS, other))
        return verdict
    try:
        manifest = parse_strict_json(files[MANIFEST])
        if manifest["format"] not in (FORMAT, WITHOUT_BASIS):
            named = repr(manifest["format"])
            unknown = Message("the pack is {format}, which this version does not know", format=named)
            verdict.faults.append(breach(Rule.FORMAT, unknown))
            return verdict
        if rfc8785.dumps(manifest) != files[MANIFEST]:
            verdict.faults.append(breach(Rule.MANIFEST, Message("the manifest is not canonical JSON (RFC 8785)")))
        verdict.case, verdict.exported = _shown(manifest, "case"), _shown(manifest, "exported")
        exported = strict_time(verdict.exported)
        verdict.basis = _basis(manifest)
        verdict.log = log or VerifierKey.parse(manifest["log_key"])
        if manifest["log_key"] != str(verdict.log):
            other = Message("the manifest names the key of another log than {name}", name=str(verdict.log))
            verdict.faults.append(breach(Rule.MANIFEST, other))
        if not isinstance(manifest["files"], dict):
            verdict.faults.append(breach(Rule.MANIFEST, Message("the manifest's files are no object")))
        if not _DIGEST.fullmatch(manifest.get("registry", "0" * 64)):
            verdict.faults.append(breach(Rule.MANIFEST, Message("the manifest's registry is no digest")))
        if not manifest["records"]:
            verdict.faults.append(breach(Rule.MANIFEST, Message("the pack holds no record")))
        verdict.faults += _unsealed(files, manifest, verdict.log)
        verdict.cosigners = tuple(witnesses) if manifest["records"] else ()
        given: dict[str, Sequence[bytes]] = {}
        leaves: list[PackedLeaf] = []
        for entry in manifest["records"]:
            if not isinstance(entry["call"], str):
                raise RuleError(Rule.MANIFEST, Message("the call of a record is no text"))
            if entry["call"] in given:
                twice = Message("call {call_id} is there twice", call_id=str(entry["call"]))
                verdict.faults.append(breach(Rule.RECORD_TWICE, twice))
            given[str(entry["call"])] = _verify_record(files, entry, verdict, verdict.log, leaves)
        verdict.policy = str(manifest["policy"])
        if verdict.policy == ONE_PERSON and manifest["acts"] != []:
            acts = Message("the pack was made by one person, and has acts of a request")
            verdict.faults.append(breach(Rule.MANIFEST, acts))
        if verdict.policy == TWO_PERSONS:
            _verify_approval(files, manifest, given, verdict, leaves)
        elif verdict.policy != ONE_PERSON:
            other = Message(
                "the pack was made by the policy {policy!r}, which this version does not know",
                policy=verdict.policy,
            )
            verdict.faults.append(breach(Rule.FORMAT, other))
        verdict.faults += leaf_faults(leaves, exported, witnesses)
        verdict.stamps, faults = timestamp_times(files, leaves, exported, stamp_roots)
        verdict.faults += faults
        verdict.faults += time_faults(exported, verdict.basis, verdict.request, now)
        verdict.faults += basis_faults(verdict.basis.details() if verdict.basis else {})
        first = [each.record.first_decision for each in verdict.told]
        decided_by: set[tuple[Scalar, Scalar]] = {(e.get("registry_sha256"), e.get("registry_trust")) for e in first}
        decided_by.add((manifest.get("registry"), Trust.SIGNED))
        verdict.faults += (wrong_registries := list(registry_faults(files, decided_by)))
        verdict.heads = [each.checkpoint for each in leaves]
        verdict.registration, faults = log_registration(
            () if wrong_registries else registries_of(files),
            verdict.log,
            verdict.heads,
            [each.record for each in verdict.told],
            exported,
            verdict.stamps if stamp_roots else {},
            root,
            today,
            now,
        )
        verdict.faults += faults
    except ProofError as error:
        verdict.faults.append(breach(_rule(error, Rule.MANIFEST), Message("{error}", error=error)))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        unread = Message("the manifest is missing or cannot be read ({reason})", reason=type(error).__name__)
        verdict.faults.append(breach(Rule.MANIFEST, unread))
    return verdict


def _rule(error: LedgerError, otherwise: Rule) -> Rule:
    return error.rule if isinstance(error, RuleError) else otherwise


def _shown(manifest: Mapping[str, Any], key: str) -> str:
    """A text from the manifest for display. Raises ProofError if it would move the cursor or has several lines."""
    text = manifest[key]
    if not isinstance(text, str) or not text.isprintable():
        raise ProofError("the manifest's {key} is not printable: {text!r:.200}", key=key, text=text)
    return str(text)


def _basis(manifest: Mapping[str, Any]) -> LegalBasis | None:
    """The manifest's legal basis. Raises ProofError if it is missing or does not match the pack's format."""
    try:
        given = manifest.get("basis", {})
        basis = LegalBasis.of(given)
        known = given == (basis.details() if basis else {}) and bool(basis and basis.law)
    except (ValueError, TypeError, AttributeError) as error:
        unread = Message("the manifest's legal basis cannot be read: {error}", error=error)
        raise RuleError(Rule.BASIS_FORM, unread) from error
    if known != (manifest["format"] == FORMAT) or ("basis" in manifest) != known:
        raise RuleError(Rule.BASIS_FORM, Message("the manifest's legal basis is not as its format demands"))
    return basis


def _unsealed(files: Mapping[str, bytes], manifest: Mapping[str, Any], log: VerifierKey) -> Iterator[Breach]:
    """Breaches for all differences from the sealed contents."""
    try:
        note = Note.parse(files.get(SEAL, b""))
        if note.text != SEAL_TEXT.format(case=manifest["case"], digest=digest(files)):
            yield breach(Rule.SEAL, Message("the seal is not on this manifest"))
        elif not note.signed_by([log]):
            yield breach(Rule.SEAL, Message("the seal is not by {name} with this key", name=log.name))
    except ProofError as error:
        yield breach(Rule.SEAL, Message("the seal: {error}", error=error))
    named = manifest["files"]
    entries = [*manifest["records"], *manifest.get("acts", ())]
    ours = {REPORT, PAPER, *(name for entry in entries for index in entry["leaves"] for name in leaf_files(index))}
    for name in sorted({*named, *files} - {MANIFEST, SEAL}):
        if name not in files:
            yield breach(Rule.FILES, Message("{path} is missing", path=name))
        elif name not in named:
            yield breach(Rule.FILES, Message("{path} does not belong to the pack", path=name))
        elif name not in ours and not any(form.fullmatch(name) for form in (PROFILE, REGISTRY, TIMESTAMP)):
            yield breach(Rule.FILES, Message("{path} belongs to no record of the pack", path=name))
        elif hashlib.sha256(files[name]).hexdigest() != named[name]:
            yield breach(Rule.FILES, Message("{path} was changed", path=name))


def _verify_record(
    files: Mapping[str, bytes],
    entry: Mapping[str, Any],
    verdict: PackVerdict,
    log: VerifierKey,
    proven: list[PackedLeaf],
) -> Sequence[bytes]:
    """Prove one record's leaves, add them to `proven`, and return their contents."""
    call_id = str(entry["call"])
    leaves: dict[int, bytes] = {}
    try:
        for index, content, proof in _proven(files, entry, log):
            proven.append(PackedLeaf(index, content, proof.checkpoint))
            size = verified_checkpoint(proof.checkpoint, log).size
            if size > verdict.leaves:
                verdict.leaves, verdict.checkpoint = size, proof.checkpoint
            verdict.cosigners = proof.checkpoint.signed_by(verdict.cosigners)
            leaves[index] = content
        key = None if entry["key"] is None else decode_base64(entry["key"])
        if entry["key"] is not None and len(key or b"") != KEY_BYTES:
            raise RuleError(Rule.NUMBERS, Message("its record key is no base64 of {count} bytes", count=KEY_BYTES))
        verdict.told.append(read_record(call_id, leaves, key))
    except LedgerError as error:
        named = Message("call {call_id}: {error}", call_id=call_id, error=error)
        verdict.faults.append(breach(_rule(error, Rule.PROOF), named))
    return [leaves[index] for index in sorted(leaves)]


def _verify_approval(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    given: Mapping[str, Sequence[bytes]],
    verdict: PackVerdict,
    proven: list[PackedLeaf],
) -> None:
    """Check that one person requested exactly this pack and another approved it in time.

    Adds the leaves of both acts to `proven`.
    """
    assert verdict.log
    try:
        acts: dict[int, Step] = {}
        for entry in manifest["acts"]:
            leaves: dict[int, bytes] = {}
            for index, content, proof in _proven(files, entry, verdict.log):
                proven.append(PackedLeaf(index, content, proof.checkpoint))
                verdict.cosigners = proof.checkpoint.signed_by(verdict.cosigners)
                leaves[index] = content
            acts[min(leaves)] = read_record(str(entry["call"]), leaves, None).record.steps[0]
        known = requests(acts[index] for index in sorted(acts))
        request = next((each for each in known.values() if each.approval), None)
    except LedgerError as error:
        named = Message("the approval: {error}", error=error)
        verdict.faults.append(breach(_rule(error, Rule.PROOF), named))
        return
    sealed = not any(entry["key"] for entry in manifest["records"])
    records = [index for entry in manifest["records"] for index in entry["leaves"]]
    order = [max(records), *(index for entry in manifest["acts"] for index in entry["leaves"])]
    is_pair = len(manifest["acts"]) == 2
    if is_pair and request and manifest["acts"][0]["call"] != request.act:
        fault = breach(Rule.REQUEST_FORM, Message("the manifest names the approval before its request"))
    elif is_pair and order != sorted(order):
        fault = breach(
            Rule.REQUEST_ORDER, Message("the request is older than a leaf that it names, or than its answer")
        )
    elif request is None or not is_pair:
        shown = Message("the pack does not show that one person has requested it and another approved it")
        fault = breach(Rule.REQUEST_FORM, shown)
    elif (
        request.selection != selection(verdict.case, request.sealed, given, verdict.basis)
        or request.case != verdict.case
        or list(dict.fromkeys(request.calls)) != list(given)
    ):
        fault = breach(Rule.SELECTION, Message("what was approved is another selection than this"))
    elif request.basis != verdict.basis:
        fault = breach(Rule.REQUEST_BASIS, Message("what was approved is another legal basis than this"))
    elif request.sealed and not sealed:
        fault = breach(Rule.REQUEST_NUMBERS, Message("the numbers are opened, and that was not approved"))
    elif request.state(datetime.fromisoformat(verdict.exported)) is not RequestState.APPROVED:
        fault = breach(Rule.REQUEST_TIME, Message("the approval had expired when the pack was made"))
    else:
        verdict.request = request
        return
    verdict.faults.append(fault)


def _proven(
    files: Mapping[str, bytes], entry: Mapping[str, Any], log: VerifierKey
) -> Iterator[tuple[int, bytes, InclusionProof]]:
    """A manifest entry's leaves with their indices and proofs. Raises ProofError if one is not proven."""
    leaves = entry["leaves"]
    if not leaves or leaves != sorted({*leaves}) or not all(type(index) is int and index >= 0 for index in leaves):
        raise RuleError(Rule.MANIFEST, Message("its leaves do not ascend"))
    for index in entry["leaves"]:
        content, given = (files.get(name, b"") for name in leaf_files(index))
        proof = InclusionProof.parse(given)
        if proof.index != index:
            raise ProofError("the proof of leaf {index} is of leaf {other}", index=index, other=proof.index)
        proof.check(content, log)
        yield index, content, proof
