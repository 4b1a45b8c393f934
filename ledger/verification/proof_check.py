"""Checks that a leaf's proof leads to a checkpoint signed by the log and cosigned by witnesses."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Note, VerifierKey, cosigned_at

from ..store.proven_leaf import ProvenLeaf
from ..tree.checkpoints import Checkpoint
from ..tree.merkle import PathLevel, leaf_hash, path_by_inclusion


@dataclass(frozen=True, slots=True)
class WitnessCheck:
    """The result of checking a witness's cosignature.

    `at` is the time of the cosignature, or None if the witness did not cosign. `fault` is the reason why the signature
    line is invalid, if it is.
    """

    name: str
    at: datetime | None
    fault: ProofError | None = None


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """The result of checking a leaf's proof.

    `path` leads from the leaf hash to the root, as far as it can be computed. `fault` is None if the proof is valid.
    `checkpoint` is None if the note does not contain one.
    """

    index: int
    leaf: bytes
    path: tuple[PathLevel, ...]
    checkpoint: Checkpoint | None
    witnesses: tuple[WitnessCheck, ...]
    fault: ProofError | None


def check_proof(proven: ProvenLeaf, log: VerifierKey, witnesses: Iterable[VerifierKey]) -> ProofCheck:
    proof, hashed = proven.proof, leaf_hash(proven.content)
    path: list[PathLevel] = []
    checkpoint = fault = None
    try:
        checkpoint = Checkpoint.parse(proof.checkpoint.text)
        path = path_by_inclusion(proof.index, checkpoint.size, hashed, proof.hashes)
        proof.check(proven.content, log)
    except ProofError as error:
        fault = error
    checked = tuple(_witness(proof.checkpoint, each) for each in witnesses)
    return ProofCheck(proof.index, hashed, tuple(path), checkpoint, checked, fault)


def _witness(note: Note, key: VerifierKey) -> WitnessCheck:
    try:
        if key not in note.signed_by([key]):
            return WitnessCheck(key.name, None)
        line = next(line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id))
        return WitnessCheck(key.name, datetime.fromtimestamp(cosigned_at(line), UTC))
    except (ProofError, OverflowError, ValueError, OSError) as error:
        return WitnessCheck(key.name, None, error if isinstance(error, ProofError) else ProofError(str(error)))
