"""A call's leaves and their inclusion proofs, from the database."""

from dataclasses import dataclass
from functools import partial

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Note

from ..tree.checkpoints import Checkpoint
from ..tree.inclusion_proof import InclusionProof
from ..tree.merkle import inclusion_proof
from .database import Connection
from .meta import CHECKPOINT, facts
from .stored_tree import leaf_closed_by, open_call, read_hashes


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """One of a call's leaves, with the proof that the ledger's tree contains it.

    `content` are the octets that the leaf hash covers.
    """

    content: bytes
    proof: InclusionProof


def prove(connection: Connection, call_id: str, cosigned: Note | None) -> list[ProvenLeaf]:
    """Read a call's leaves, each with its proof.

    The proofs lead to the `cosigned` checkpoint, which others have seen, if that tree contains all the leaves.
    Otherwise, they lead to the ledger's own checkpoint. Raises LedgerError.
    """
    query = "SELECT id, leaf FROM steps WHERE call_id = ? AND leaf IS NOT NULL ORDER BY id"
    closing = connection.execute(query, (call_id,)).fetchall()
    if not closing:
        return []
    held = facts(connection)
    if CHECKPOINT not in held:
        raise LedgerError("the ledger holds no signed checkpoint of its tree; run: idtone ledger verify")
    note = Note.parse(held[CHECKPOINT].encode())
    if cosigned and Checkpoint.parse(cosigned.text).size > closing[-1][1]:
        note = cosigned
    size = Checkpoint.parse(note.text).size
    if closing[-1][1] >= size:
        raise LedgerError(
            "leaf {leaf} of call {call_id} is not signed, so nothing proves it: the signed tree has {size} leaves",
            leaf=closing[-1][1],
            call_id=call_id,
            size=size,
        )
    found = []
    for number, index in closing:
        call = open_call(connection, call_id, number + 1, index)
        content = leaf_closed_by(call.steps, call.before)
        path = inclusion_proof(index, size, partial(read_hashes, connection))
        found.append(ProvenLeaf(content, InclusionProof(index, tuple(path), note, content)))
    return found
