"""Evidence packs: records with their proofs, sealed, which a third party verifies with nothing but the pack. Pure.

    manifest.json   what the pack holds, for which case, and the SHA-256 of every other file
    manifest.note   the log's signature on it
    leaves/N.json   the leaf N of the log's tree
    proofs/N.tlog-proof
    profiles/ID.json  the profiles of the sounds that were played, as they are at the time of the export
    report.html     the same, to be read
    report.pdf      the same again, on paper

Where exports take two persons, the leaves of the request and its approval are among them.

Numbers are in the leaves sealed; with the key of a record, which the manifest holds unless they are to stay so, they
are opened, and no other record's.
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
from ..evidence.steps import FIRST, SEALED_KEY, Role, Step, StepKind
from ..keys.sealing import open_with
from ..store.proven_leaf import ProvenLeaf
from ..store.rows import moment
from ..tree.checkpoints import believed
from ..tree.notes import Algorithm, Note, Signer, VerifierKey
from ..tree.proofs import InclusionProof
from .disclosure_request import DisclosureRequest, RequestState, requests

FORMAT: Final = "idtone-evidence/1"
ALONE, TWO_PERSONS = "alone", "two-persons"
"""By which policy a pack was made."""
MANIFEST, SEAL, REPORT, PAPER = "manifest.json", "manifest.note", "report.html", "report.pdf"
_SEAL_TEXT: Final = "idtone evidence pack v1\n{case}\n{digest}\n"


@dataclass(frozen=True, slots=True)
class PackedCall:
    """One call of a pack: its leaves, and the key to its numbers, None where they stay sealed."""

    call_id: str
    proven: Sequence[ProvenLeaf]
    record_key: bytes | None


@dataclass(frozen=True, slots=True)
class PackRecord:
    """One call as a pack tells of it."""

    record: Record
    leaves: tuple[int, ...]
    numbers: Mapping[Role, Number]


def told(call_id: str, leaves: Mapping[int, bytes], record_key: bytes | None) -> PackRecord:
    """Read the leaves of a call (index → content) again. Raises LedgerError where they are none of this version's."""
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
    """The SHA-256, hexadecimal, of what is to be given out: for what, whether with numbers, and call → its leaves."""
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
    """The files of a pack, but for its seal. `act_id` is the record of the export.

    `reports` are its files for people; `approval` the records of the request and of its approval, where there was one.
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
    """Where a leaf and its proof are."""
    return f"leaves/{index}.json", f"proofs/{index}.tlog-proof"


_PROFILE: Final = re.compile(r"profiles/[^/]+\.json")


def _entry(exhibit: PackedCall) -> dict[str, Any]:
    return {"call": exhibit.call_id, "leaves": [proven.proof.index for proven in exhibit.proven]}


def digest(files: Mapping[str, bytes]) -> str:
    """What stands for the whole pack: the SHA-256 of its manifest, hexadecimal."""
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def seal(files: Mapping[str, bytes], case: str, signer: Signer) -> bytes:
    """The signature on a pack."""
    text = _SEAL_TEXT.format(case=case, digest=digest(files))
    return str(Note(text, (signer.sign(text),))).encode()


@dataclass
class PackVerdict:
    """`told` are the records that are proven; `cosigners` the witnesses that have signed the tree that holds them all.

    `request` is what two persons answer for, proven as well; None where nobody is shown to have approved the export.
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
    """Whether a pack is what its log has sealed, and each record in the tree that it has signed.

    `log` is whose word counts, known by another way than the pack; without it that is the key that the pack names,
    which anybody could have made.
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
    """What people are told of a pack. Raises ProofError where that would move the cursor, or be more than one line."""
    text = str(manifest[key])
    if not text.isprintable():
        raise ProofError(f"the manifest's {key} is not printable: {text!r:.200}")
    return text


def _unsealed(files: Mapping[str, bytes], manifest: Mapping[str, Any], log: VerifierKey) -> Iterator[str]:
    """What is not as it was when it was sealed."""
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
    """Its leaves, as far as they are proven."""
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
    """That one person has requested just this, and another approved it in time."""
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
    """The leaves of an entry of the manifest, their indices and proofs. Raises ProofError for what is not proven."""
    for index in entry["leaves"]:
        content, given = (files.get(name, b"") for name in _files(index))
        proof = InclusionProof.parse(given)
        if proof.index != index:
            raise ProofError(f"the proof of leaf {index} is of leaf {proof.index}")
        proof.check(content, log)
        yield index, content, proof
