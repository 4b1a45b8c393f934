"""The log's side of cosigning, which sends requests to witnesses and keeps their signatures.

No call waits for cosignatures. If a witness refuses, this is logged. Because the refusal is not signed and proves
nothing, the log then requests the head that the witness cosigned. If the log's key signed that head but it does not
belong to this tree, the current database is not the one that was signed. From then on, nothing is signed.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

import aiohttp

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.core.signed_notes import NOTE_LIMIT, Algorithm, Note, SignatureLine, VerifierKey

from ..keys.key_ring import KeyRing
from ..tree.checkpoints import Checkpoint, parse_size, verified_checkpoint
from ..tree.merkle import check_consistency
from .add_checkpoint import REQUEST_LIMIT, SIZE_TYPE, AddCheckpoint, cosignatures, log_digest

ANSWER_WITHIN_S: Final = 10.0
BEST_FOR_S: Final = 3600.0
"""Time in seconds for which a head with more cosignatures, and so with better proofs, is kept over a later head.

After that, the later head replaces it, so that the newer leaves also have a cosigned head.
"""

_log = logging.getLogger(__name__)


class CosignedTree(Protocol):
    """Interface to the ledger that cosigning needs."""

    @property
    def stored_checkpoint(self) -> Note | None: ...
    def consistency(self, old: int, size: int) -> Sequence[bytes]: ...
    def distrust(self, reason: str) -> None: ...


@dataclass
class WitnessStatus:
    """A witness, and the last known state of its cosignatures."""

    url: str
    key: VerifierKey
    size: int = 0
    """The last size that the witness cosigned; 0 if unknown."""
    trouble: str = ""
    """The last problem logged for this witness."""


class Cosigning:
    """Sends each new checkpoint to every witness, and keeps the cosignatures.

    `witnesses` has the form of the setting `ledger.witnesses`. Raises UsageError if an entry lacks a witness's verifier
    key.
    """

    def __init__(self, tree: CosignedTree, key_ring: KeyRing, witnesses: Sequence[str], every_s: float) -> None:
        """Parse `witnesses`, which has the form of the setting. Raises UsageError if an entry lacks a verifier key."""
        self._tree = tree
        self._key_ring = key_ring
        self._asked = [witness_of(each) for each in witnesses]
        self._every_s = every_s
        self._origin = ""
        self._kept_s = time.monotonic()
        """Time at which a head was last stored."""

    @property
    def witnesses(self) -> Sequence[WitnessStatus]:
        return self._asked

    async def run(self) -> None:
        """Send new checkpoints to the witnesses regularly, until cancelled.

        Returns immediately if there are no witnesses.
        """
        if not self._asked:
            return
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self.ask(session)
                await asyncio.sleep(self._every_s)

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """Send the latest checkpoint to every witness that has not cosigned it yet.

        Witnesses that do not answer are asked again later.
        """
        note = self._tree.stored_checkpoint
        if note is None:
            return
        checkpoint = Checkpoint.parse(note.text)
        size = checkpoint.size
        if checkpoint.origin != self._origin:  # another tree, which no witness has seen
            self._origin = checkpoint.origin
            for each in self._asked:
                each.size = 0
        asked = [each for each in self._asked if each.size < size]
        answers = await asyncio.gather(*(self._ask(session, each, note, size) for each in asked))
        if lines := [line for lines in answers for line in lines]:
            try:
                await asyncio.to_thread(self._keep, note, lines)
            except OSError as error:
                _log.error("%s: cosignatures cannot be kept: %s", self._key_ring.cosigned.path, error.strerror)

    def _keep(self, note: Note, lines: Sequence[SignatureLine]) -> None:
        """Store the head with the most cosignatures, including cosignatures from earlier rounds.

        It is kept for an hour, even if there is a later head with fewer cosignatures. Raises OSError.
        """
        file, kept = self._key_ring.cosigned, None
        try:
            latest = file.latest(self._key_ring.signer_of(self._origin).key)
            kept = latest[0] if latest else None
        except LedgerError as error:
            _log.error("%s", error)
        merged = note.with_lines(lines)
        if kept and kept.text == note.text:
            known = {(line.name, line.key_id) for line in kept.signatures}
            merged = kept.with_lines(line for line in lines if (line.name, line.key_id) not in known)
        elif kept and self._count(kept) > self._count(merged) and time.monotonic() < self._kept_s + BEST_FOR_S:
            return
        file.remember(merged)
        self._kept_s = time.monotonic()

    def _count(self, note: Note) -> int:
        try:
            return len(note.signed_by(each.key for each in self._asked))
        except ProofError:
            return 0

    async def _ask(
        self, session: aiohttp.ClientSession, witness: WitnessStatus, note: Note, size: int
    ) -> list[SignatureLine]:
        try:
            lines = await self._cosigned(session, witness, note, size)
        except (LedgerError, aiohttp.ClientError, TimeoutError) as error:
            trouble = f"{witness.key.name}: {str(error) or 'it did not answer in time'}"
            if trouble != witness.trouble:
                witness.trouble = trouble
                _log.error("no cosignature: %s", trouble)
            return []
        if witness.trouble or not witness.size:
            _log.info("%s cosigns", witness.key.name)
        witness.trouble, witness.size = "", size
        return lines

    async def _cosigned(
        self, session: aiohttp.ClientSession, witness: WitnessStatus, note: Note, size: int
    ) -> list[SignatureLine]:
        """Request a witness's cosignature. Raises LedgerError if it refuses or its answer is not a cosignature."""
        for _ in range(2):
            proof = await asyncio.to_thread(self._tree.consistency, witness.size, size)
            body = bytes(AddCheckpoint(witness.size, tuple(proof), note))
            async with session.post(f"{witness.url}/add-checkpoint", data=body) as response:
                text = (await response.content.read(REQUEST_LIMIT)).decode(errors="replace")
                if response.status == HTTPStatus.OK:
                    return cosignatures(text, note, witness.key)
                if response.status != HTTPStatus.CONFLICT or response.content_type != SIZE_TYPE:
                    if response.status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
                        await self._look_for_another_tree(session, witness, note)
                    raise _refused(response.status, text)
            known = parse_size(text.rstrip("\n"))
            if known > size or known == witness.size:
                await self._look_for_another_tree(session, witness, note)
                raise LedgerError("it says that it has cosigned {known} leaves of another tree", known=known)
            witness.size = known
        raise ProofError("another instance of this log is being cosigned at the same time")

    async def _look_for_another_tree(self, session: aiohttp.ClientSession, witness: WitnessStatus, note: Note) -> None:
        """Stop signing if the witness shows a head that this log signed but that does not belong to this tree."""
        ours = Checkpoint.parse(note.text)
        try:
            async with session.get(f"{witness.url}/checkpoint/{log_digest(ours.origin)}") as response:
                octets = await response.content.read(NOTE_LIMIT)
            theirs = verified_checkpoint(Note.parse(octets), self._key_ring.signer_of(ours.origin).key)
        except (ProofError, aiohttp.ClientError, TimeoutError) as error:
            _log.debug("%s shows no head that this log has signed: %s", witness.key.name, error)
            return
        old, new = sorted((ours, theirs), key=lambda each: each.size)
        try:  # another instance may have continued this tree meanwhile: its leaves are in the database then
            proof = await asyncio.to_thread(self._tree.consistency, old.size, new.size)
            check_consistency(old.size, old.root, new.size, new.root, proof)
        except ProofError as error:
            reason = (
                f"{witness.key.name} has cosigned {theirs.size} leaves of this log, and not this tree of {ours.size}"
            )
            self._tree.distrust(f"{reason} ({error})")


def _refused(status: int, text: str) -> LedgerError:
    reason = text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
    return LedgerError("it answered {status}: {reason}", status=status, reason=reason)


def witness_of(text: str) -> WitnessStatus:
    """Parse a witness's address and key from an entry in `ledger.witnesses`.

    Raises UsageError if the entry lacks a witness's verifier key.
    """
    url, _, encoded = text.partition(" ")
    try:
        key = VerifierKey.parse(encoded)
    except ProofError as error:
        raise UsageError(
            "ledger.witnesses: {url}: {error}; write the key that the witness prints", url=url, error=error
        ) from error
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise UsageError(
            "ledger.witnesses: {url}: this is the key of a log; write the key that the witness prints", url=url
        )
    return WitnessStatus(url, key)
