"""Finds signed tree heads outside a backup, which may lack the newest ones.

The sources are witnesses, the replica, and files on this machine.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp

from idtone.core.errors import IdtoneError, LedgerError, ProofError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey
from idtone.core.translation import Message
from idtone.ledger.keys.checkpoint_file import CheckpointFile, cosigned_file
from idtone.ledger.replication.own_replica import ASKED_WITHIN_S
from idtone.ledger.store.meta import CHECKPOINT, COSIGNED, facts
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.tree.checkpoints import Checkpoint, verified_checkpoint
from idtone.ledger.witness.add_checkpoint import log_digest
from idtone.ledger.witness.cosigning import witness_of

ANSWER_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class KnownHead:
    """The newest signed head at one source.

    `note` is None if the source knows no head. `trouble` says why the source did not answer.
    """

    source: str
    note: Note | None
    trouble: str = ""

    @property
    def size(self) -> int:
        return Checkpoint.parse(self.note.text).size if self.note else 0


def latest(heads: Iterable[KnownHead]) -> KnownHead | None:
    """The head of the largest tree; None if no source knows a head."""
    return max((each for each in heads if each.note), key=lambda each: each.size, default=None)


def known_heads(settings: LedgerSettings, log: VerifierKey, ask: bool) -> list[KnownHead]:
    """Known heads of the tree with the log's name, from local files.

    If `ask` is True, the witnesses and the replica are queried too.
    """
    found = [_in_file(file, log) for file in (CheckpointFile(settings.checkpoint_file()), cosigned_file(settings))]
    if ask and settings.is_shared():
        found += [_in_replica(settings, log)]
    if ask and settings.witnesses:
        found += asyncio.run(_of_witnesses(settings.witnesses, log))
    return [each for each in found if each.note or each.trouble]


def _in_file(file: CheckpointFile, log: VerifierKey) -> KnownHead:
    try:
        kept = file.latest(log)
        return KnownHead(str(file.path_for(log)), kept[0] if kept else None)
    except LedgerError as error:
        return KnownHead(str(file.path), None, str(error))


def _in_replica(settings: LedgerSettings, log: VerifierKey) -> KnownHead:
    source = "PostgreSQL"
    try:
        server = Server.of(settings)
        schema = schema_of(log.name)
        if schema not in server.schemas(ASKED_WITHIN_S):
            return KnownHead(source, None)
        with server.database(schema, str(server), ASKED_WITHIN_S).reading() as there:
            held = facts(there)
    except IdtoneError as error:
        return KnownHead(source, None, str(error))
    notes = [_believed(held.get(name, "").encode(), log) for name in (CHECKPOINT, COSIGNED)]
    best = latest(KnownHead(source, note) for note in notes)
    return best or KnownHead(source, None)


def _believed(octets: bytes, log: VerifierKey) -> Note | None:
    try:
        note = Note.parse(octets)
        verified_checkpoint(note, log)
    except ProofError:
        return None
    return note


async def _of_witnesses(witnesses: Iterable[str], log: VerifierKey) -> list[KnownHead]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)) as session:
        return list(await asyncio.gather(*(_of_witness(session, each, log) for each in witnesses)))


async def _of_witness(session: aiohttp.ClientSession, entry: str, log: VerifierKey) -> KnownHead:
    source = entry.partition(" ")[0]
    try:
        witness = witness_of(entry)
        source = witness.key.name
        async with session.get(f"{witness.url}/checkpoint/{log_digest(log.name)}") as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return KnownHead(source, None)
            if response.status != HTTPStatus.OK:
                return KnownHead(source, None, Message("it answered {status}", status=response.status))
            octets = await response.content.read(NOTE_LIMIT)
    except (IdtoneError, aiohttp.ClientError, TimeoutError) as error:
        return KnownHead(source, None, str(error) or Message("it did not answer in time"))
    note = _believed(octets, log)
    return KnownHead(source, note, "" if note else Message("it shows no head that this log has signed"))
