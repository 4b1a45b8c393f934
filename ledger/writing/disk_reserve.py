"""Reserves disk space for evidence in a file next to the ledger.

When the disk is full, space is released from the file piece by piece. When the disk has room, the file is filled again.
"""

import ctypes
import logging
import os
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

from idtone.core.translation import Message, template

from ..keys.private_files import open_private

PIECE: Final = 2**20
"""Size of a piece in bytes, which is more than a group of steps and its journal take."""
JOURNAL: Final = 6 * PIECE
"""Maximum size of SQLite's journal in bytes, in either mode. A journal of this size is overwritten."""
BESIDE: Final = 2 * PIECE
"""Bytes that must stay free when the reserve is refilled. Otherwise, it would take back what it just released."""
ALARM_EVERY_S: Final = 600.0
_MB: Final = 1_000_000

_log = logging.getLogger(__name__)


class RoomLeft(StrEnum):
    """Room that the disk has for evidence."""

    AMPLE = "ample"
    LOW = "low"
    """The disk has less free space than the reserve holds, so the reserve will soon be needed."""
    DRAWN = "drawn"
    """The disk is or was full, and part of the reserve is used."""
    GONE = "gone"


def reserve_file(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".reserve")


def room_left(size: int, left: int, free: int) -> RoomLeft:
    """Classify how much room the disk has for evidence.

    `size` is the reserve's intended size, `left` is its current size, and `free` is the disk's free space, all in
    bytes.
    """
    if left >= size:
        return RoomLeft.AMPLE if free >= size else RoomLeft.LOW
    return RoomLeft.DRAWN if left else RoomLeft.GONE


class Reserve:
    """Disk space reserved for a ledger's evidence.

    `size` is in bytes. 0 means no reserve, and None leaves the current reserve unchanged. Thread-safe. Failures are
    logged, and evidence is then written without a reserve. Raises OSError on creation.
    """

    def __init__(self, ledger: Path, size: int | None) -> None:
        """`size` is in bytes. 0 means no reserve; None leaves the current reserve unchanged. Raises OSError."""
        self._ledger = ledger
        self._path = reserve_file(ledger)
        self._size = size or 0
        self._changing = threading.Lock()
        self._left = 0
        self._told = RoomLeft.AMPLE
        self._told_s = 0.0
        if size == 0:
            self._path.unlink(missing_ok=True)
        elif size and self._path.exists():
            self._left = min(_held(self._path.stat()), size)

    @property
    def size(self) -> int:
        return self._size

    @property
    def left(self) -> int:
        return self._left

    @property
    def words(self) -> str:
        """Describe the state of the ledger's disk to the operator. Empty if there is room."""
        if self._told is RoomLeft.AMPLE:
            return ""
        return Message(
            "the ledger's disk is {room}, {left:.0f} of {size:.0f} MB in reserve",
            room=Message(_WORDS[self._told]),
            left=self._left / _MB,
            size=self._size / _MB,
        )

    def refill(self) -> None:
        """Fill the reserve as far as the disk's free space allows.

        The state is logged at most once every ten minutes.
        """
        if not self._size:
            return
        with self._changing:
            try:
                self._claim_for_journal(self._wanted_by_journal())
                self._fill()
                room = room_left(self._size, self._left, _free(self._path.parent))
            except OSError as error:
                _log.error("%s: the ledger's reserve cannot be made: %s", self._path, error.strerror)
                return
        self._tell(room)

    def release(self, database: int) -> bool:
        """Release a piece of the reserve. Returns False if the reserve is used up.

        Most of the piece goes to the file open as descriptor `database` (-1 means no file).
        """
        with self._changing:
            if not self._left:
                return False
            piece = min(PIECE, self._left)
            try:
                os.truncate(self._path, self._left - piece)
            except OSError as error:
                _log.error("%s: the ledger's reserve cannot be used: %s", self._path, error.strerror)
                return False
            self._left -= piece
            try:
                journal = min(self._wanted_by_journal(), piece // 2)
                self._claim_for_journal(journal)
                if database >= 0:
                    _claim(database, (piece - journal) * 7 // 8)  # the rest is for the files beside it
            except OSError as error:
                _log.error("%s: any program can take what is given back: %s", self._path, error.strerror)
        self._tell(RoomLeft.DRAWN if self._left else RoomLeft.GONE)
        return True

    def _fill(self) -> None:
        """Fill the reserve as far as the disk's free space allows.

        Raises OSError.
        """
        descriptor = open_private(self._path)
        try:
            self._left = min(self._left, _held(os.fstat(descriptor)))  # an operator may have removed it, to make room
            wanted = min(self._size - self._left, _free(self._path.parent) - BESIDE)
            if wanted < self._size - self._left:
                wanted -= wanted % PIECE
            if wanted > 0:
                os.posix_fallocate(descriptor, 0, self._left + wanted)  # holes in it, too
                self._left = min(self._left + wanted, _held(os.fstat(descriptor)))
        finally:
            os.ftruncate(
                descriptor, self._left
            )  # a piece that failed halfway does not count, nor does a larger earlier reserve
            os.close(descriptor)

    def _journal(self) -> Path | None:
        beside = (self._ledger.with_name(self._ledger.name + suffix) for suffix in ("-wal", "-journal"))
        return next((path for path in beside if path.exists()), None)

    def _wanted_by_journal(self) -> int:
        journal = self._journal()
        return max(0, min(JOURNAL, self._size) - 512 * journal.stat().st_blocks) if journal else 0

    def _claim_for_journal(self, octets: int) -> None:
        journal = self._journal()
        if not journal or not octets:
            return
        descriptor = os.open(journal, os.O_RDWR)
        try:
            _claim(descriptor, octets)
        finally:
            os.close(descriptor)

    def _tell(self, room: RoomLeft) -> None:
        now_s = time.monotonic()
        changed = room is not self._told
        if not changed and (room is RoomLeft.AMPLE or now_s < self._told_s + ALARM_EVERY_S):
            return
        self._told, self._told_s = room, now_s
        if room is RoomLeft.AMPLE:
            _log.info("%s: there is room for evidence again, and the reserve is whole", self._ledger)
        else:
            level = logging.ERROR if room is RoomLeft.GONE else logging.WARNING
            _log.log(level, "%s; make room on the disk of %s", self.words, self._ledger)


_WORDS: Final = {RoomLeft.LOW: template("low"), RoomLeft.DRAWN: template("drawn"), RoomLeft.GONE: template("gone")}


def _held(status: os.stat_result) -> int:
    """Bytes that a file occupies on disk, which may be fewer than its length."""
    return min(status.st_size, 512 * status.st_blocks)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE from fallocate(2)."""


def _claim(descriptor: int, octets: int) -> None:
    """Reserve space for a file beyond its end.

    Otherwise, the program that filled the disk would take that space. Some file systems cannot reserve space.
    """
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if fallocate(descriptor, _KEEP_SIZE, os.fstat(descriptor).st_size, octets) != 0:
        _log.debug("room beyond the end of a file cannot be kept: %s", os.strerror(ctypes.get_errno()))
