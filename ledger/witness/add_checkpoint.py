"""A log's add-checkpoint request to a witness, and the witness's answer (C2SP tlog-witness)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from idtone.core.errors import ProofError
from idtone.core.signed_notes import NOTE_LIMIT, Note, SignatureLine, Signer, VerifierKey

from ..tree.checkpoints import Checkpoint, parse_size, verified_checkpoint
from ..tree.inclusion_proof import parse_hashes
from ..tree.merkle import EMPTY_ROOT, check_consistency

SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of an answer that states the last size that the witness cosigned."""
REQUEST_LIMIT: Final = NOTE_LIMIT + 64 * 50
"""Maximum number of bytes in a request, which contains a note and as many hashes as a proof may have."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign a checkpoint.

    `old_size` is the last size that the witness cosigned. `proof` is the consistency proof from that size. `note` is
    the new checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: Note

    def __bytes__(self) -> bytes:
        lines = [f"old {self.old_size}", *(base64.b64encode(each).decode() for each in self.proof)]
        return ("\n".join(lines) + f"\n\n{self.note}").encode()

    @classmethod
    def parse(cls, octets: bytes) -> AddCheckpoint:
        """Parse the body of a request.

        Raises ProofError.
        """
        above, empty, note = octets.partition(b"\n\n")
        try:
            first, *hashes = above.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ProofError("the lines above the checkpoint are not text") from error
        if not empty or not first.startswith("old "):
            raise ProofError("the request does not begin with: old SIZE")
        return cls(parse_size(first.removeprefix("old ")), parse_hashes(hashes), Note.parse(note))


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """A witness's answer to a request.

    The witness must store `cosigned` before it answers.
    """

    status: HTTPStatus
    text: str
    content_type: str = "text/plain; charset=utf-8"
    cosigned: Note | None = None


def log_digest(origin: str) -> str:
    """A log's name in the address at which a witness shows the last cosigned head."""
    return hashlib.sha256(origin.encode()).hexdigest()


def origin_of(request: AddCheckpoint) -> str:
    return request.note.text.partition("\n")[0]


def judge(
    request: AddCheckpoint,
    logs: Mapping[str, Sequence[VerifierKey]],
    latest: Checkpoint | None,
    witness: Signer,
    time_s: int,
) -> WitnessAnswer:
    """Decide on a request by the rules of tlog-witness, in their order.

    `logs` contains the trusted keys for each origin. `latest` is the log's last cosigned checkpoint.
    """
    keys = logs.get(origin_of(request))
    if not keys:
        return WitnessAnswer(HTTPStatus.NOT_FOUND, "this witness does not know that log\n")
    checkpoint = _signed(request.note, keys)
    if checkpoint is None:
        return WitnessAnswer(HTTPStatus.FORBIDDEN, "no key that is trusted for this log has signed the checkpoint\n")
    if request.old_size > checkpoint.size:
        return WitnessAnswer(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's\n")
    known = latest or Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
    if request.old_size != known.size or (known.size == checkpoint.size and known.root != checkpoint.root):
        return WitnessAnswer(HTTPStatus.CONFLICT, f"{known.size}\n", SIZE_TYPE)
    try:
        check_consistency(known.size, known.root, checkpoint.size, checkpoint.root, request.proof)
    except ProofError as error:
        return WitnessAnswer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}\n")
    line = witness.cosign(request.note.text, time_s)
    return WitnessAnswer(HTTPStatus.OK, str(line), cosigned=request.note.with_lines([line]))


def _signed(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    for key in keys:
        try:
            return verified_checkpoint(note, key)
        except ProofError:
            continue
    return None


def cosignatures(answer: str, note: Note, witness: VerifierKey) -> list[SignatureLine]:
    """Parse a witness's cosignatures from its answer. Other lines are ignored.

    Raises ProofError if there are none or if a signature is wrong.
    """
    lines = [SignatureLine.parse(line) for line in answer.split("\n")[:-1]]
    ours = [line for line in lines if (line.name, line.key_id) == (witness.name, witness.key_id)]
    if not Note(note.text, tuple(ours)).signed_by([witness]):
        raise ProofError("the answer has no cosignature by {witness}", witness=witness.name)
    return ours
