"""Packs and trees that the holder of the log's key could make, correct or with any content."""

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.signed_notes import Note, SignatureLine, Signer
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.inclusion_proof import InclusionProof
from idtone.ledger.tree.merkle import Frontier, inclusion_proof, leaf_hash

from ..example_pack import WITNESS
from ..sample_evidence import LOG, NOW, SEED

SIGNER: Final = Signer(LOG.name, SEED)
SECOND: Final = Signer("second.example/w", bytes(range(96, 128)))
"""Second witness, for some vectors."""
STRANGER: Final = Signer("stranger.example/s", bytes(32))
AT: Final = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
"""Time of the first step, in microseconds."""
S: Final = 1_000_000
RECORD_KEY: Final = b"\5" * 32

Details = dict[str, Any]
Files = dict[str, bytes]
Manifest = dict[str, Any]


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def step(number: int, kind: str, at: float = AT, details: Details | None = None, **more: Any) -> dict[str, Any]:
    return {"at": at, "details": details or {}, "id": number, "kind": kind, "node": "pbx-1", **more}


def leaf(call: str, *steps: dict[str, Any], after: int = 0, **more: Any) -> bytes:
    return canonical({**({"after": after} if after else {}), "call": call, "steps": list(steps), **more})


def time(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()


def numbers_of(call: str, held: dict[str, str] | None = None) -> Details:
    """Details of a step that seals numbers under `RECORD_KEY`."""
    held = (
        {"called": "+815031234567", "caller": "+819012345679", "forwarding": "+81312345678"} if held is None else held
    )
    sealed = AESGCM(RECORD_KEY).encrypt(bytes(12), canonical(held).ljust(96), call.encode())
    kinds = {f"{role}_kind": "fixed" for role in held}
    return {
        **kinds,
        "day": "2026-11-01",
        "numbers": base64.b64encode(sealed).decode(),
        "numbers_key": base64.b64encode(bytes(60)).decode(),
    }


DECIDED: Final[Details] = {"direction": "incoming", "outcome": "PLAY", "profile": "sample", "reason": "licence-valid"}
CALL, LATE, OTHER = "pbx-1-1793491200.1", "pbx-1-1793491200.2", "pbx-1-1793491200.3"


def tree(before: int = 0) -> list[bytes]:
    """Five leaves of three calls. Their steps follow `before` other steps.

    The calls are one with numbers, one that ended during its sound, and an interrupted one. The last two leaves are
    late steps of the second and the third call.
    """
    ended = {"hangup_cause": 16, "status": "CONNECTED"}
    return [
        leaf(
            CALL,
            step(before + 1, "decided", details={**DECIDED, **numbers_of(CALL)}),
            step(before + 4, "ended", AT + 9 * S, ended),
        ),
        leaf(
            LATE,
            step(before + 2, "decided", AT + S, DECIDED),
            step(
                before + 5, "sound-started", AT + 2 * S, {"party": "called", "profile": "sample", "sha256": "5e" * 32}
            ),
            step(before + 6, "ended", AT + 3 * S, {"status": "CANCEL"}),
        ),
        leaf(OTHER, step(before + 3, "decided", AT + S, DECIDED), step(before + 7, "interrupted", AT + 4 * S)),
        leaf(LATE, step(before + 8, "sound-failed", AT + 3 * S, {"party": "called", "why": "hung up"}), after=3),
        leaf(OTHER, step(before + 9, "ended", AT + 5 * S, ended), after=2),
    ]


BASIS: Final[dict[str, str]] = {
    "authority": "見本警察署",
    "basis": "warrant",
    "court": "見本簡易裁判所",
    "law": "令状 / warrant",
    "received": time(AT),
    "scope": "calls of 2026-11-01",
    "valid_until": "2026-11-07",
}


@dataclass
class Plan:
    """Plan of a pack. Each field can be replaced.

    `touch` edits the files before the manifest is written, `change` edits the manifest, and `seal` seals it.
    """

    leaves: list[bytes] = field(default_factory=tree)
    records: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"call": CALL, "key": base64.b64encode(RECORD_KEY).decode(), "leaves": [0]},
            {"call": LATE, "key": None, "leaves": [1, 3]},
        ]
    )
    case: str = "R-7"
    exported: str = field(default_factory=lambda: time(AT + 7200 * S))
    basis: dict[str, Any] | None = field(default_factory=lambda: dict(BASIS))
    policy: str = "one-person"
    asked: Details = field(default_factory=dict)
    """Details of the request that replace the right ones."""
    given: Details = field(default_factory=dict)
    asked_at: int = AT + 3600 * S
    given_at: int = AT + 4000 * S
    kinds: tuple[str, str] = ("export-requested", "export-approved")
    act_ids: tuple[str, str] = ("act-1", "act-2")
    acts_first: bool = False
    """True if the acts are written before the calls."""
    approval_first: bool = False
    behind: list[bytes] = field(default_factory=list)
    """Leaves after the acts."""
    cosigned: list[tuple[Signer, int]] = field(default_factory=lambda: [(WITNESS, AT // S + 5000)])
    """Cosigners of the checkpoint, each with its time in seconds."""
    log_lines: Callable[[str], Sequence[SignatureLine]] = lambda text: [SIGNER.sign(text)]
    text: Callable[[str], str] = lambda text: text
    """Function that makes the text of the checkpoint from the right one."""
    profiles: dict[str, bytes] = field(default_factory=dict)
    change: Callable[[Manifest], object] = lambda manifest: None
    touch: Callable[[Files], object] = lambda files: None
    after: Callable[[Files], object] = lambda files: None
    """Change of the files after the pack is sealed."""
    write: Callable[[Manifest], bytes] = canonical
    seal: Callable[[str], Note] = lambda text: Note(text, (SIGNER.sign(text),))
    log_key: str | None = None
    """Key that the verifier uses, if it is not the log's. `witnesses` and `now` are also the verifier's."""
    witnesses: list[str] | None = None
    now: str | None = None
    root: bytes | None = None
    """Root of the association that the verifier trusts. `later` is the association's present metadata."""
    later: dict[str, bytes] | None = None

    def selection(self) -> str:
        calls = [
            [
                entry["call"],
                [hashlib.sha256(self.leaves[i]).hexdigest() for i in entry["leaves"] if i < len(self.leaves)],
            ]
            for entry in self.records
        ]
        chosen = {"calls": calls, "case": self.case, "numbers_sealed": self.asked.get("numbers_sealed", False)}
        return hashlib.sha256(canonical(chosen | ({"basis": self.basis} if self.basis else {}))).hexdigest()

    def _acts(self) -> list[bytes]:
        calls = [entry["call"] for entry in self.records]
        digest = self.selection()
        asked = {
            "by": "alice", "by_uid": 1001, "by_way": "login", "calls": len(calls), "case": self.case,
            "numbers_sealed": False, "selected": json.dumps(calls), "selection": digest,
            "until": time(AT + 86_400 * S), **(self.basis or {}), **self.asked,
        }  # fmt: skip
        given = {
            "by": "bob", "by_uid": 1002, "by_way": "sudo", "request": self.act_ids[0], "selection": digest,
            "until": time(AT + 86_400 * S), **self.given,
        }  # fmt: skip
        first = 1 if self.acts_first else 101
        dropped = [{k: v for k, v in each.items() if v is not ...} for each in (asked, given)]
        made = [
            (self.act_ids[0], self.kinds[0], self.asked_at, dropped[0]),
            (self.act_ids[1], self.kinds[1], self.given_at, dropped[1]),
        ]
        if self.approval_first:
            made.reverse()
        return [
            leaf(name, step(number, kind, at, details)) for number, (name, kind, at, details) in enumerate(made, first)
        ]

    def files(self) -> Files:
        all_leaves, acts, moved = list(self.leaves), [], 0
        if self.policy == "two-persons":
            made = self._acts()
            order = (1, 0) if self.approval_first else (0, 1)
            begin = 0 if self.acts_first else len(all_leaves)
            moved = 2 if self.acts_first else 0
            all_leaves = [*made, *all_leaves] if self.acts_first else [*all_leaves, *made]
            acts = [{"call": self.act_ids[n], "leaves": [begin + order[n]]} for n in (0, 1)]
        all_leaves += self.behind
        records = copy.deepcopy(self.records)
        for entry in records:
            entry["leaves"] = [index + moved for index in entry["leaves"]]
        frontier, hashes = Frontier(), []
        for each in all_leaves:
            hashes += frontier.append(leaf_hash(each))
        text = self.text(Checkpoint(LOG.name, len(all_leaves), frontier.root()).text)
        lines = [*self.log_lines(text), *(witness.cosign(text, at_s) for witness, at_s in self.cosigned)]
        note = Note(text, tuple(lines))
        files: Files = {}
        for index in sorted({index for entry in (*records, *acts) for index in entry["leaves"]}):
            path = inclusion_proof(index, len(all_leaves), lambda places: {p: hashes[p] for p in places})
            files[f"leaves/{index}.json"] = all_leaves[index]
            files[f"proofs/{index}.tlog-proof"] = str(InclusionProof(index, tuple(path), note)).encode()
        files |= {f"profiles/{name}.json": content for name, content in self.profiles.items()}
        self.touch(files)
        manifest: Manifest = {
            "acts": acts, "case": self.case, "export_record": "act-3", "exported": self.exported,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            "format": "idtone-evidence/2" if self.basis else "idtone-evidence/1", "log_key": str(LOG),
            "policy": self.policy, "records": records, **({"basis": self.basis} if self.basis else {}),
        }  # fmt: skip
        self.change(manifest)
        files["manifest.json"] = self.write(manifest)
        digest = hashlib.sha256(files["manifest.json"]).hexdigest()
        files["manifest.note"] = str(self.seal(f"idtone evidence pack v1\n{self.case}\n{digest}\n")).encode()
        self.after(files)
        return files
