"""Evidence packs, which contain sealed records and proofs that a third party can verify independently.

A pack is a ZIP file with these files:

- `manifest.json`: the case, the legal basis, the records, and the SHA-256 of every other file
- `manifest.note`: the log's signature on the manifest
- `leaves/N.json`: leaf N of the log's tree
- `proofs/N.tlog-proof`: the inclusion proof of leaf N
- `profiles/ID.json`: the profile of a played sound at the time of the disclosure
- `report.html`, `report.pdf`: the report for people
- `timestamps/N.tsr`: the RFC 3161 timestamp of the signed tree of N leaves
- `registry/DIGEST.json`: an excerpt of the registry with this digest, for the calls' numbers

If disclosures require two persons, the pack also has the leaves of the request and its approval. Numbers in the leaves
are sealed. The manifest contains each record's key, unless the numbers stay sealed. Each key opens only its own
record's numbers.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import rfc8785

from idtone.core.errors import LedgerError
from idtone.core.numbers import Number
from idtone.core.signed_notes import Note, NoteSigner, VerifierKey
from idtone.core.translation import Message

from ..evidence.call_record import Record, record_of_steps
from ..evidence.format_rules import Rule, RuleError
from ..evidence.steps import FIRST, SEALED_KEY, NumberRole, Step, StepKind
from ..keys.sealing import open_with
from ..store.proven_leaf import ProvenLeaf
from ..store.step_rows import moment
from .legal_basis import LegalBasis

FORMAT: Final = "idtone-evidence/2"
WITHOUT_BASIS: Final = "idtone-evidence/1"
"""The earlier pack format, which has no legal basis. It is no longer written."""
ONE_PERSON, TWO_PERSONS = "one-person", "two-persons"
"""The policies under which a pack can be made."""
MANIFEST, SEAL, REPORT, PAPER = "manifest.json", "manifest.note", "report.html", "report.pdf"
SEAL_TEXT: Final = "idtone evidence pack v1\n{case}\n{digest}\n"
"""The text of the note that the log signs. `digest` is the manifest's digest."""
PROFILE: Final = re.compile(r"profiles/[a-z0-9][a-z0-9-]*\.json")
"""File names of profiles in a pack."""
TIMESTAMP: Final = re.compile(r"timestamps/([1-9][0-9]{0,18})\.tsr")
"""File names of timestamps in a pack, which contain the tree's size."""
REGISTRY: Final = re.compile(r"registry/([0-9a-f]{64})\.json")
"""File names of registries in a pack."""


@dataclass(frozen=True, slots=True)
class PackedCall:
    """One call in an evidence pack, with its leaves and the key to its numbers.

    The key is None if the numbers stay sealed.
    """

    call_id: str
    proven: Sequence[ProvenLeaf]
    record_key: bytes | None


@dataclass(frozen=True, slots=True)
class PackRecord:
    """A call's record, as read from an evidence pack."""

    record: Record
    leaves: tuple[int, ...]
    numbers: Mapping[NumberRole, Number]


def read_record(call_id: str, leaves: Mapping[int, bytes], record_key: bytes | None) -> PackRecord:
    """Read a call's record from its leaves (index → content).

    Raises LedgerError if this version of idtone cannot read the leaves.
    """
    try:
        rows = [row for index in sorted(leaves) for row in _rows(call_id, leaves[index])]
        steps = [Step(call_id, StepKind(row["kind"]), moment(row["at"]), row["details"]) for row in rows]
        record = record_of_steps(str(rows[0]["node"]), steps)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        unread = Message("a leaf of call {call_id} cannot be read", call_id=call_id)
        raise RuleError(Rule.LEAF_FORM, unread) from error
    first = next((step.details for step in steps if step.kind in FIRST), {})
    try:
        numbers = open_with(record_key, call_id, first) if record_key and SEALED_KEY in first else {}
    except LedgerError as error:
        raise RuleError(Rule.NUMBERS, Message("{error}", error=error)) from error
    return PackRecord(record, tuple(sorted(leaves)), numbers)


def parse_strict_json(octets: bytes) -> Any:
    """Parse JSON that every program interprets in the same way.

    No object may contain the same name twice, and all numbers must be integers. Raises ValueError.
    """
    return json.loads(octets, object_pairs_hook=_once, parse_float=int, parse_constant=int)


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name is there twice")
    return found


def _rows(call_id: str, content: bytes) -> list[dict[str, Any]]:
    leaf = parse_strict_json(content)
    if leaf["call"] != call_id:
        other = Message("a leaf that is said to be of call {call_id} is of {call}", call_id=call_id, call=leaf["call"])
        raise RuleError(Rule.LEAF_CALL, other)
    rows = leaf["steps"]
    return list(rows)


def selection(case: str, sealed: bool, leaves: Mapping[str, Sequence[bytes]], basis: LegalBasis | None = None) -> str:
    """SHA-256, in hexadecimal digits, of the content selected for an evidence pack.

    The digest covers the case, each call's leaves, the legal basis, and whether the numbers stay sealed.
    """
    calls = [[call_id, [hashlib.sha256(leaf).hexdigest() for leaf in each]] for call_id, each in leaves.items()]
    chosen: Any = {
        "case": case,
        "numbers_sealed": sealed,
        "calls": calls,
        **({"basis": basis.details()} if basis else {}),
    }
    return hashlib.sha256(rfc8785.dumps(chosen)).hexdigest()


def pack_files(
    case: str,
    act_id: str,
    at: datetime,
    calls: Sequence[PackedCall],
    profiles: Mapping[str, Mapping[str, Any]],
    log: VerifierKey,
    reports: Mapping[str, bytes],
    basis: LegalBasis,
    approval: Sequence[PackedCall] = (),
    registries: Mapping[str, bytes] = MappingProxyType({}),
    timestamps: Mapping[int, bytes] = MappingProxyType({}),
    registry: str | None = None,
) -> dict[str, bytes]:
    """All files of an evidence pack except its seal.

    `act_id` is the act that records the disclosure. `reports` are the readable reports. `approval` contains the records
    of the request and its approval. `registries` contains excerpts of registries, by digest. `timestamps` contains the
    authorities' replies, by tree size. `registry` is the digest of the registry in use at the time of the disclosure,
    if that registry is signed.
    """
    files = {**reports, **{f"registry/{digest}.json": content for digest, content in registries.items()}}
    files |= {f"timestamps/{size}.tsr": reply for size, reply in timestamps.items()}
    for call in (*calls, *approval):
        for each in call.proven:
            leaf, proof = leaf_files(each.proof.index)
            files |= {leaf: each.content, proof: str(each.proof).encode()}
    for profile_id, profile in profiles.items():
        files[f"profiles/{profile_id}.json"] = json.dumps(
            profile, ensure_ascii=False, indent=2, sort_keys=True
        ).encode()
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "basis": basis.details(),
        "case": case,
        "exported": at.isoformat(),
        "export_record": act_id,
        "log_key": str(log),
        "policy": TWO_PERSONS if approval else ONE_PERSON,
        **({"registry": registry} if registry else {}),
        "acts": [_entry(each) for each in approval],
        "records": [
            _entry(each) | {"key": base64.b64encode(each.record_key).decode() if each.record_key else None}
            for each in calls
        ],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return {MANIFEST: rfc8785.dumps(manifest), **files}


def leaf_files(index: int) -> tuple[str, str]:
    """File names of a leaf and its proof in an evidence pack."""
    return f"leaves/{index}.json", f"proofs/{index}.tlog-proof"


def _entry(call: PackedCall) -> dict[str, Any]:
    return {"call": call.call_id, "leaves": [proven.proof.index for proven in call.proven]}


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of an evidence pack's manifest in hexadecimal digits, which identifies the pack."""
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def seal(files: Mapping[str, bytes], case: str, signer: NoteSigner) -> bytes:
    """Sign an evidence pack with the log's key."""
    text = SEAL_TEXT.format(case=case, digest=digest(files))
    return str(Note(text, (signer.sign(text),))).encode()
