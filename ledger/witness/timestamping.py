"""Regularly requests RFC 3161 timestamps on the tree's head.

Neither calls nor signatures wait for timestamps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from idtone.core.errors import LedgerError, ProofError
from idtone.core.settings.settings import TimestampSettings
from idtone.core.signed_notes import Note

from ..keys.key_ring import KeyRing
from ..keys.timestamp_store import Stamps
from ..tree.checkpoints import Checkpoint
from ..tree.timestamps import QUERY_TYPE, REPLY_LIMIT, query, roots_of, stamped_at
from .cosigning import CosignedTree

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

ANSWER_WITHIN_S: Final = 30.0
AGAIN_AFTER_S: Final = 60.0
"""Pause in seconds after a failure."""

_log = logging.getLogger(__name__)


class Timestamping:
    """Requests a timestamp when the tree has new leaves, no more often than the settings allow."""

    def __init__(self, tree: CosignedTree, key_ring: KeyRing, settings: TimestampSettings, stamps: Stamps) -> None:
        self._tree = tree
        self._key_ring = key_ring
        self._settings = settings
        self._stamps = stamps
        self._has_witnesses = False
        self.trouble = ""
        """The last problem logged; empty if the authority answers."""
        self.at: datetime | None = None
        """Time of the newest head's last timestamp; None if there never was one."""

    def after_witnesses(self, witnesses: Sequence[object]) -> Timestamping:
        """Request timestamps only for cosigned heads from now on, if there are witnesses.

        Returns the same object.
        """
        self._has_witnesses = bool(witnesses)
        return self

    async def run(self) -> None:
        """Request timestamps on the tree's head regularly, until cancelled.

        Returns immediately if the settings name no authority.
        """
        if self._settings.url is None:
            return
        if stamped := await asyncio.to_thread(self._stamps.newest, self._key_ring.signer.key.name):
            self.at = stamped[1]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)) as session:
            while True:
                every_s = self._settings.every.total_seconds()
                await asyncio.sleep(every_s if await self.ask(session) else min(AGAIN_AFTER_S, every_s))

    async def ask(self, session: aiohttp.ClientSession) -> bool:
        """Request a timestamp for the latest head, if it has none.

        Returns False if there is no head yet or the request failed.
        """
        try:
            note = await asyncio.to_thread(self._head)
            if note is None:
                return False
            checkpoint = Checkpoint.parse(note.text)
            if checkpoint.size in await asyncio.to_thread(self._stamps.sizes, checkpoint.origin):
                self.at = datetime.now(UTC)
                return True
            at = await self._stamp(session, note)
        except (LedgerError, OSError, aiohttp.ClientError, TimeoutError) as error:
            trouble = str(error) or "it did not answer in time"
            if trouble != self.trouble:
                self.trouble = trouble
                _log.error("no timestamp: %s: %s", self._settings.url, trouble)
            return False
        _log.info("the tree of %d leaves is stamped with %s", checkpoint.size, at)
        self.trouble, self.at = "", datetime.now(UTC)
        return True

    def _head(self) -> Note | None:
        """The head to be timestamped next. Raises LedgerError."""
        if not self._has_witnesses:
            return self._tree.stored_checkpoint
        latest = self._key_ring.cosigned.latest(self._key_ring.signer.key)
        return latest[0] if latest else None

    async def _stamp(self, session: aiohttp.ClientSession, note: Note) -> str:
        """Request a timestamp, and return the time at which the head existed according to the authority.

        Raises LedgerError, OSError and HTTP errors.
        """
        settings = self._settings
        assert settings.url
        octets, nonce = await asyncio.to_thread(query, note.text)
        password = await asyncio.to_thread(settings.secret)
        auth = aiohttp.BasicAuth(settings.user, password) if settings.user else None
        async with session.post(
            settings.url, data=octets, headers={"Content-Type": QUERY_TYPE}, auth=auth, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                raise LedgerError("it answered {status}", status=response.status)
            reply = await response.content.read(REPLY_LIMIT + 1)
            while len(reply) <= REPLY_LIMIT and (more := await response.content.read(REPLY_LIMIT)):
                reply += more
        if len(reply) > REPLY_LIMIT:
            raise LedgerError("its reply is larger than any timestamp")
        return await asyncio.to_thread(self._kept, note, reply, nonce)

    def _kept(self, note: Note, reply: bytes, nonce: int) -> str:
        at = stamped_at(reply, note.text, load_roots(self._settings.root) if self._settings.root else (), nonce)
        self._stamps.put(note, reply)
        return at.isoformat()


def load_roots(path: Path) -> list[Certificate]:
    """Read the authority's root certificates from a file.

    Raises ProofError and OSError.
    """
    try:
        return roots_of(path.read_bytes())
    except ProofError as error:
        raise ProofError("{path}: {error}", path=path, error=error) from error
