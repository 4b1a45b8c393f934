"""A thread that maintains the ledger without delaying evidence.

It copies the latest checkpoint to a file, keeps the disk reserve filled, and signs the ends of earlier logs once their
tokens are available.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from idtone.core.signed_notes import Note

from ..keys.checkpoint_file import CheckpointFile
from .group_writer import NO_ROOM, GroupWriter

LOOK_EVERY_S: Final = 10.0
"""Interval in seconds at which the latest checkpoint is copied next to the database and the disk space is checked.

If the database is replaced by a copy made more recently than this, the replacement cannot be detected.
"""

_log = logging.getLogger(__name__)


class MaintenanceThread:
    """A thread that maintains the ledger without delaying evidence.

    The thread works until `close`, and then once more.
    """

    def __init__(self, database: GroupWriter, seen: CheckpointFile) -> None:
        self._database = database
        self._seen = seen
        self._remembered: Note | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-ledger-look", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            self._guarded(self._database.reserve.refill)
            self._guarded(self._database.sign_ends)
            last = self._over.wait(LOOK_EVERY_S)
            self._guarded(self._remember)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # An unforeseen error must not end the other work for good.
            _log.error("%s: %s; report this as a fault of idtone", self._seen.path, type(error).__name__)

    def _remember(self) -> None:
        checkpoint = self._database.stored_checkpoint
        if checkpoint is None or checkpoint == self._remembered:
            return
        try:
            self._seen.remember(checkpoint)
            self._remembered = checkpoint
        except OSError as error:
            if error.errno in NO_ROOM and self._database.reserve.release(-1):
                return  # next time there is room for it
            _log.error("%s: the latest checkpoint cannot be kept: %s", self._seen.path, error.strerror)
