"""The log's side: it sends its latest head to the witnesses now and then, and keeps what they sign.

No call waits for this. If a witness knows a longer tree, or another one, the database here is not the one that was
signed; from then on nothing is signed any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

import aiohttp

from idtone.errors import LedgerError, ProofError, UsageError
from idtone.signed_notes import Algorithm, Note, SignatureLine, VerifierKey
from idtone.translation import Message

from ..keys.key_ring import KeyRing
from ..tree.checkpoints import Checkpoint, parse_size
from .add_checkpoint import REQUEST_LIMIT, SIZE_TYPE, AddCheckpoint, cosignatures

ANSWER_WITHIN_S: Final = 10.0

_log = logging.getLogger(__name__)


class Tree(Protocol):
    """What witnesses need of the ledger."""

    @property
    def checkpoint(self) -> Note | None: ...
    def consistency(self, old: int, size: int) -> Sequence[bytes]: ...
    def distrust(self, reason: str) -> None: ...


@dataclass
class WitnessStatus:
    """A witness and what is known of it."""

    url: str
    key: VerifierKey
    size: int = 0
    """The size that it has cosigned last; 0 if that is not known yet."""
    complaint: str = ""
    """What was logged about it last."""


class Cosigning:
    """Asks every witness whenever there is a new checkpoint."""

    def __init__(self, tree: Tree, key_ring: KeyRing, witnesses: Sequence[str], every_s: float) -> None:
        """`witnesses` as in the settings. Raises UsageError if one has no verifier key of a witness."""
        self._tree = tree
        self._key_ring = key_ring
        self._asked = [witness_of(each) for each in witnesses]
        self._every_s = every_s
        self._origin = ""

    @property
    def witnesses(self) -> Sequence[WitnessStatus]:
        return self._asked

    async def run(self) -> None:
        """Until cancelled; returns at once if there are no witnesses."""
        if not self._asked:
            return
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self.ask(session)
                await asyncio.sleep(self._every_s)

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """Ask every witness that has not cosigned the latest checkpoint; ask again later if one does not answer."""
        note = self._tree.checkpoint
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
        signed = note.with_lines(line for lines in answers for line in lines)
        if signed != note:
            try:
                await asyncio.to_thread(self._key_ring.cosigned.remember, signed)
            except OSError as error:
                _log.error("%s: cosignatures cannot be kept: %s", self._key_ring.cosigned.path, error.strerror)

    async def _ask(
        self, session: aiohttp.ClientSession, witness: WitnessStatus, note: Note, size: int
    ) -> list[SignatureLine]:
        try:
            lines = await self._cosigned(session, witness, note, size)
        except (LedgerError, aiohttp.ClientError, TimeoutError) as error:
            complaint = f"{witness.key.name}: {str(error) or 'it did not answer in time'}"
            if complaint != witness.complaint:
                witness.complaint = complaint
                _log.error("no cosignature: %s", complaint)
            return []
        if witness.complaint or not witness.size:
            _log.info("%s cosigns", witness.key.name)
        witness.complaint, witness.size = "", size
        return lines

    async def _cosigned(
        self, session: aiohttp.ClientSession, witness: WitnessStatus, note: Note, size: int
    ) -> list[SignatureLine]:
        """Raises LedgerError if it refuses, or its answer is not a cosignature."""
        for _ in range(2):
            proof = await asyncio.to_thread(self._tree.consistency, witness.size, size)
            body = bytes(AddCheckpoint(witness.size, tuple(proof), note))
            async with session.post(f"{witness.url}/add-checkpoint", data=body) as response:
                text = (await response.content.read(REQUEST_LIMIT)).decode(errors="replace")
                if response.status == HTTPStatus.OK:
                    return cosignatures(text, note, witness.key)
                if response.status != HTTPStatus.CONFLICT or response.content_type != SIZE_TYPE:
                    self._refused(witness, response.status, text)
            known = parse_size(text.rstrip("\n"))
            if known > size or known == witness.size:
                self._tree.distrust(
                    f"{witness.key.name} has cosigned {known} leaves of this log, and not this tree of {size}"
                )
                raise LedgerError(Message("it has cosigned {known} leaves of another tree by this name", known=known))
            witness.size = known
        raise ProofError(Message("another instance of this log is being cosigned at the same time"))

    def _refused(self, witness: WitnessStatus, status: int, text: str) -> None:
        reason = text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            self._tree.distrust(f"{witness.key.name} has cosigned another tree than this one")
        raise LedgerError(Message("it answered {status}: {reason}", status=status, reason=reason))


def witness_of(text: str) -> WitnessStatus:
    """An entry of `ledger.witnesses`. Raises UsageError if it has no verifier key of a witness."""
    url, _, encoded = text.partition(" ")
    try:
        key = VerifierKey.parse(encoded)
    except ProofError as error:
        raise UsageError(
            Message("ledger.witnesses: {url}: {error}; write the key that the witness prints", url=url, error=error)
        ) from error
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise UsageError(
            Message("ledger.witnesses: {url}: this is the key of a log; write the key that the witness prints", url=url)
        )
    return WitnessStatus(url, key)
