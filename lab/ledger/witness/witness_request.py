"""Requests of a log to a witness."""

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.tree import merkle
from idtone.ledger.witness.add_checkpoint import AddCheckpoint

from ..tree.reference import LEAVES, SIGNER, Stored, head, signed

WITNESS = Signer("witness.example/1", bytes(31) + b"w")
LOGS = {SIGNER.key.name: [SIGNER.key]}


def witness_request(old: int, size: int, note: Note | None = None) -> AddCheckpoint:
    proof = merkle.consistency_proof(old, size, Stored(LEAVES).read) if old <= size else []
    return AddCheckpoint(old, tuple(proof), note or signed(head(size)))
