"""Evidence packs: sealed records with their proofs. A third party needs nothing but the pack to verify it. Pure.

    manifest.json   what the pack holds, for which case, and the SHA-256 of every other file
    manifest.note   the log's signature on it
    leaves/N.json   the leaf N of the log's tree
    proofs/N.tlog-proof
    profiles/ID.json  the profiles of the sounds that were played, as they are at the time of the export
    report.html     the report for people
    report.pdf      the same report on paper

If exports take two persons, the pack has the leaves of the request and its approval too.

The leaves hold the numbers sealed. The manifest holds the key of each record, unless the numbers are to stay sealed; it
opens the numbers of that record and of no other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import rfc8785

from idtone.errors import LedgerError, ProofError
from idtone.numbers import Number

from ..evidence.records import Record, fold
from ..evidence.steps import FIRST, SEALED_KEY, NumberRole, Step, StepKind
from ..keys.sealing import open_with
from ..store.proven_leaf import ProvenLeaf
from ..store.rows import moment
from ..tree.checkpoints import believed
from ..tree.notes import Algorithm, Note, Signer, VerifierKey
from ..tree.proofs import InclusionProof
from .disclosure_request import DisclosureRequest, RequestState, requests

FORMAT: Final = "idtone-evidence/1"
ALONE, TWO_PERSONS = "alone", "two-persons"
"""The policy by which a pack was made."""
MANIFEST, SEAL, REPORT, PAPER = "manifest.json", "manifest.note", "report.html", "report.pdf"
_SEAL_TEXT: Final = "idtone evidence pack v1\n{case}\n{digest}\n"


@dataclass(frozen=True, slots=True)
class PackedCall:
    """One call of a pack: its leaves, and the key to its numbers; None if they stay sealed."""

    call_id: str
    proven: Sequence[ProvenLeaf]
    record_key: bytes | None


@dataclass(frozen=True, slots=True)
class PackRecord:
    """One call as a pack records it."""

    record: Record
    leaves: tuple[int, ...]
    numbers: Mapping[NumberRole, Number]


def told(call_id: str, leaves: Mapping[int, bytes], record_key: bytes | None) -> PackRecord:
    """The record from the leaves of a call (index → content). Raises LedgerError if this version cannot read them."""
    try:
        rows = [row for index in sorted(leaves) for row in _rows(call_id, leaves[index])]
        steps = [Step(call_id, StepKind(row["kind"]), moment(row["at"]), row["details"]) for row in rows]
        record = fold(str(rows[0]["node"]), steps)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise LedgerError(f"a leaf of call {call_id} cannot be read") from error
    first = next((step.details for step in steps if step.kind in FIRST), {})
    numbers = open_with(record_key, call_id, first) if record_key and SEALED_KEY in first else {}
    return PackRecord(record, tuple(sorted(leaves)), numbers)


def _parsed(octets: bytes) -> Any:
    """JSON that each program reads alike: no object has a name twice. Raises ValueError."""
    return json.loads(octets, object_pairs_hook=_once)


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name is there twice")
    return found


def _rows(call_id: str, content: bytes) -> list[dict[str, Any]]:
    leaf = _parsed(content)
    if leaf["call"] != call_id:
        raise LedgerError(f"a leaf that is said to be of call {call_id} is of {leaf['call']}")
    rows = leaf["steps"]
    return list(rows)


def selection(case: str, sealed: bool, leaves: Mapping[str, Sequence[bytes]]) -> str:
    """The SHA-256, hexadecimal, of what a pack would hold: the case, whether numbers stay sealed, call → leaves."""
    calls = [[call_id, [hashlib.sha256(leaf).hexdigest() for leaf in each]] for call_id, each in leaves.items()]
    return hashlib.sha256(rfc8785.dumps({"case": case, "numbers_sealed": sealed, "calls": calls})).hexdigest()


def packed(
    case: str,
    act_id: str,
    at: datetime,
    exhibits: Sequence[PackedCall],
    profiles: Mapping[str, Mapping[str, Any]],
    log: VerifierKey,
    reports: Mapping[str, bytes],
    approval: Sequence[PackedCall] = (),
) -> dict[str, bytes]:
    """The files of a pack, except its seal. `act_id` is the record of the export.

    `reports` are its files for people; `approval` the records of the request and of its approval, if there was one.
    """
    files = dict(reports)
    for exhibit in (*exhibits, *approval):
        for each in exhibit.proven:
            leaf, proof = _files(each.proof.index)
            files |= {leaf: each.content, proof: str(each.proof).encode()}
    for profile_id, profile in profiles.items():
        files[f"profiles/{profile_id}.json"] = json.dumps(
            profile, ensure_ascii=False, indent=2, sort_keys=True
        ).encode()
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "case": case,
        "exported": at.isoformat(),
        "export_record": act_id,
        "log_key": str(log),
        "policy": TWO_PERSONS if approval else ALONE,
        "acts": [_entry(each) for each in approval],
        "records": [
            _entry(each) | {"key": base64.b64encode(each.record_key).decode() if each.record_key else None}
            for each in exhibits
        ],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return {MANIFEST: rfc8785.dumps(manifest), **files}


def _files(index: int) -> tuple[str, str]:
    """The names of a leaf and its proof."""
    return f"leaves/{index}.json", f"proofs/{index}.tlog-proof"


_PROFILE: Final = re.compile(r"profiles/[^/]+\.json")


def _entry(exhibit: PackedCall) -> dict[str, Any]:
    return {"call": exhibit.call_id, "leaves": [proven.proof.index for proven in exhibit.proven]}


def digest(files: Mapping[str, bytes]) -> str:
    """The SHA-256 of the manifest, hexadecimal, which identifies the whole pack."""
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def seal(files: Mapping[str, bytes], case: str, signer: Signer) -> bytes:
    """The signature on a pack."""
    text = _SEAL_TEXT.format(case=case, digest=digest(files))
    return str(Note(text, (signer.sign(text),))).encode()


@dataclass
class PackVerdict:
    """`told` are the proven records; `cosigners` the witnesses that have signed the tree that holds them all.

    `request` is the approved request, proven as well; None if the pack does not show an approval.
    """

    case: str = ""
    exported: str = ""
    log: VerifierKey | None = None
    log_is_known: bool = False
    policy: str = ALONE
    request: DisclosureRequest | None = None
    cosigners: tuple[VerifierKey, ...] = ()
    leaves: int = 0
    told: list[PackRecord] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def verified(files: Mapping[str, bytes], log: VerifierKey | None, witnesses: Sequence[VerifierKey] = ()) -> PackVerdict:
    """Whether a pack is what its log has sealed, and each record is in the tree that the log has signed.

    `log` is the log's key from another source than the pack. Without it the key in the pack is used, which anyone could
    have made.
    """
    verdict = PackVerdict(log_is_known=log is not None)
    wrong = [each.name for each in (log,) if each and each.algorithm is not Algorithm.ED25519]
    wrong += [each.name for each in witnesses if each.algorithm is not Algorithm.COSIGNATURE]
    if wrong:
        verdict.faults.append(f"the key of {', '.join(wrong)} is of another kind: a log's is no witness's")
        return verdict
    try:
        manifest = _parsed(files[MANIFEST])
        if manifest["format"] != FORMAT:
            verdict.faults.append(f"the pack is {manifest['format']!r}, which this version does not know")
            return verdict
        verdict.case, verdict.exported = _shown(manifest, "case"), _shown(manifest, "exported")
        datetime.fromisoformat(verdict.exported)
        verdict.log = log or VerifierKey.parse(manifest["log_key"])
        verdict.faults += _unsealed(files, manifest, verdict.log)
        verdict.cosigners = tuple(witnesses) if manifest["records"] else ()
        given: dict[str, Sequence[bytes]] = {}
        for entry in manifest["records"]:
            if str(entry["call"]) in given:
                verdict.faults.append(f"call {entry['call']} is there twice")
            given[str(entry["call"])] = _verify_record(files, entry, verdict, verdict.log)
        verdict.policy = str(manifest.get("policy", ALONE))
        if verdict.policy == TWO_PERSONS:
            _verify_approval(files, manifest, given, verdict)
        elif verdict.policy != ALONE:
            verdict.faults.append(
                f"the pack was made by the policy {verdict.policy!r}, which this version does not know"
            )
    except ProofError as error:
        verdict.faults.append(str(error))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        verdict.faults.append(f"the manifest is missing or cannot be read ({type(error).__name__})")
    return verdict


def _shown(manifest: Mapping[str, Any], key: str) -> str:
    """Text of a pack that people see. Raises ProofError if it would move the cursor, or is more than one line."""
    text = str(manifest[key])
    if not text.isprintable():
        raise ProofError(f"the manifest's {key} is not printable: {text!r:.200}")
    return text


def _unsealed(files: Mapping[str, bytes], manifest: Mapping[str, Any], log: VerifierKey) -> Iterator[str]:
    """What differs from what was sealed."""
    try:
        note = Note.parse(files.get(SEAL, b""))
        if note.text != _SEAL_TEXT.format(case=manifest["case"], digest=digest(files)):
            yield "the seal is not on this manifest"
        elif not note.signed_by([log]):
            yield f"the seal is not by {log.name} with this key"
    except ProofError as error:
        yield f"the seal: {error}"
    named = manifest["files"]
    entries = [*manifest["records"], *manifest.get("acts", ())]
    ours = {REPORT, PAPER, *(name for entry in entries for index in entry["leaves"] for name in _files(index))}
    for name in sorted({*named, *files} - {MANIFEST, SEAL}):
        if name not in files:
            yield f"{name} is missing"
        elif name not in named:
            yield f"{name} does not belong to the pack"
        elif name not in ours and not _PROFILE.fullmatch(name):
            yield f"{name} belongs to no record of the pack"
        elif hashlib.sha256(files[name]).hexdigest() != named[name]:
            yield f"{name} was changed"


def _verify_record(
    files: Mapping[str, bytes], entry: Mapping[str, Any], verdict: PackVerdict, log: VerifierKey
) -> Sequence[bytes]:
    """Its proven leaves."""
    call_id = str(entry["call"])
    leaves: dict[int, bytes] = {}
    try:
        for index, content, proof in _proven(files, entry, log):
            verdict.leaves = max(verdict.leaves, believed(proof.checkpoint, log).size)
            verdict.cosigners = proof.checkpoint.signed_by(verdict.cosigners)
            leaves[index] = content
        key = base64.b64decode(entry["key"]) if entry["key"] else None
        verdict.told.append(told(call_id, leaves, key))
    except LedgerError as error:
        verdict.faults.append(f"call {call_id}: {error}")
    return [leaves[index] for index in sorted(leaves)]


def _verify_approval(
    files: Mapping[str, bytes], manifest: Mapping[str, Any], given: Mapping[str, Sequence[bytes]], verdict: PackVerdict
) -> None:
    """Check that one person has requested exactly this, and another approved it in time."""
    assert verdict.log
    try:
        acts: dict[int, Step] = {}
        for entry in manifest["acts"]:
            leaves: dict[int, bytes] = {}
            for index, content, proof in _proven(files, entry, verdict.log):
                verdict.cosigners = proof.checkpoint.signed_by(verdict.cosigners)
                leaves[index] = content
            acts[min(leaves)] = told(str(entry["call"]), leaves, None).record.steps[0]
        known = requests(acts[index] for index in sorted(acts))
        request = next((each for each in known.values() if each.approval), None)
    except LedgerError as error:
        verdict.faults.append(f"the approval: {error}")
        return
    sealed = not any(entry["key"] for entry in manifest["records"])
    if request is None:
        verdict.faults.append("the pack does not show that one person has requested it and another approved it")
    elif request.selection != selection(verdict.case, request.sealed, given):
        verdict.faults.append("what was approved is another selection than this")
    elif request.sealed and not sealed:
        verdict.faults.append("the numbers are opened, and that was not approved")
    elif request.state(datetime.fromisoformat(verdict.exported)) is not RequestState.APPROVED:
        verdict.faults.append("the approval had expired when the pack was made")
    else:
        verdict.request = request


def _proven(
    files: Mapping[str, bytes], entry: Mapping[str, Any], log: VerifierKey
) -> Iterator[tuple[int, bytes, InclusionProof]]:
    """The leaves of an entry of the manifest, with indices and proofs. Raises ProofError if one is not proven."""
    for index in entry["leaves"]:
        content, given = (files.get(name, b"") for name in _files(index))
        proof = InclusionProof.parse(given)
        if proof.index != index:
            raise ProofError(f"the proof of leaf {index} is of leaf {proof.index}")
        proof.check(content, log)
        yield index, content, proof
