"""The journal: the file in which the hook writes what it did, and how its lines reach the service.

The hook opens the file for each line, appends the line in one write, and closes it. The service reads behind the hook's
writes. Now and then it puts an empty file in place of the one that is read. When the hook can no longer be writing to
the old one and all that was read from it is on the disk, the service removes it. A service that starts reads what is
there from the beginning: the ledger knows what is already in it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from idtone import dialplan
from idtone.errors import JournalError

_log = logging.getLogger(__name__)

GATHER_S: Final = 0.03
"""How long the first of several lines waits for the others: each look costs as much as several lines."""
POLL_S: Final = 0.5
"""How often the file is looked at even if nothing was told of it."""
NOTE_EVERY_S: Final = 1.0
"""How often it is noted that all lines were read."""
REPLACE_EVERY_S: Final = 5.0
"""How long a line stays in the file at most before another file takes its place: telephone numbers can be in it."""
REPLACE_AT: Final = 1024 * 1024
"""Octets, from which on it is replaced at once."""
PART: Final = 64 * 1024
"""Octets that are read at a time."""
QUIET_S: Final = 5.0
"""If the kernel cannot tell whether a file is open for writing: how long ago it must have been written last."""
FOLDER_MODE: Final = 0o710
FILE_MODE: Final = 0o620
"""Asterisk, by the group, can write to it, and empty it, and not read it: telephone numbers can be in it in clear."""
TAKEN: Final = "taken-"
"""How the names of files begin that are no longer written to."""
READ: Final = ".read"
"""Its modification time says until when the service has read all lines."""
_EMPTY: Final = f".{dialplan.JOURNAL_FILE}."
_REFUSED: Final = "refused"
_REFUSED_MODE: Final = 0o600
MOST_REFUSED_BYTES: Final = 1024 * 1024
"""What is kept of lines that are not believed; a full disk would be worse."""


class JournalFolder:
    """The folder and its files. Several processes may use it. `group_of` is the folder whose group Asterisk is in."""

    def __init__(self, directory: Path, group_of: Path) -> None:
        self.directory = directory
        self.path = directory / dialplan.JOURNAL_FILE
        self._group_of = group_of

    def make(self) -> None:
        """Have a file for the hook, and a folder that no other user looks into. Raises JournalError."""
        try:
            group = self._group_of.stat().st_gid
            self.directory.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            folder = self.directory.stat()
            # With g+s new files get the folder's group, also from a user outside it; chmod() would take that away.
            if (folder.st_gid, folder.st_mode & 0o777) != (group, FOLDER_MODE):
                os.chown(self.directory, -1, group)
                self.directory.chmod(FOLDER_MODE)
            with self._locked():
                for left in self.directory.glob(f"{_EMPTY}*"):
                    left.unlink()  # by a process that was killed before it was in its place
                if not self.path.exists():
                    os.replace(self._empty(group), self.path)
                elif self.path.stat().st_gid != group:
                    os.chown(self.path, -1, group)
        except OSError as error:
            raise self._unusable(error) from error

    def taken(self) -> list[Path]:
        """The files that the hook no longer writes to, oldest first."""
        return sorted(self.directory.glob(f"{TAKEN}*"))

    def replace(self) -> None:
        """Put an empty file in place of the one that the hook writes to, unless that is empty. Raises JournalError."""
        try:
            with self._locked():
                status = self.path.stat()
                if not status.st_size:
                    return
                if status.st_nlink == 1:  # else the process was killed that had taken it, and had not replaced it yet
                    os.link(self.path, self.path.with_name(f"{TAKEN}{time.time_ns()}"))
                os.replace(self._empty(status.st_gid), self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def read_until(self) -> float:
        """Until when (Unix time) all lines were read; 0 if that was never noted."""
        try:
            return (self.directory / READ).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def note_read(self, until_s: float) -> None:
        """All lines until then (Unix time) were read, and their evidence is on the disk. Raises OSError."""
        path = self.directory / READ
        path.touch(_REFUSED_MODE)
        os.utime(path, (until_s, until_s))

    def refuse(self, lines: Sequence[str]) -> None:
        """Keep lines that were not believed, without their digits. Raises OSError."""
        path = self.directory / _REFUSED
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _REFUSED_MODE)
        with os.fdopen(descriptor, "a", encoding="ascii") as file:
            if os.fstat(descriptor).st_size < MOST_REFUSED_BYTES:
                file.writelines(f"{line}\n" for line in lines)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """An instance that takes over runs beside the one before."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _empty(self, group: int) -> str:
        descriptor, name = tempfile.mkstemp(prefix=_EMPTY, dir=self.directory)
        try:
            if os.fstat(descriptor).st_gid != group:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, FILE_MODE)
        except OSError:
            os.unlink(name)
            raise
        finally:
            os.close(descriptor)
        return name

    def _unusable(self, error: OSError) -> JournalError:
        return JournalError(
            f"{self.directory}: the journal cannot be used: {error.strerror}; let the user that runs idtone own this "
            f"folder, give it the group of {self._group_of}, and run: chmod 2710 {self.directory}"
        )


def is_quiet(descriptor: int) -> bool:
    """Whether no process has the file open for writing."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # which does not end a process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # fails while it is open for writing
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return False
        # Another user's file, or a file system without leases.
        return time.time() - os.fstat(descriptor).st_mtime > QUIET_S
    return True


@dataclass
class _File:
    """One file of the journal, as far as it was read."""

    path: Path
    descriptor: int
    inode: int
    rest: bytes = b""
    """The beginning of a line whose end was not there yet."""
    unwritten: list[Future[None]] = field(default_factory=list)
    empty: bool = True

    def lines(self) -> Iterator[bytes]:
        """What was written since, as whole lines without their ends. A line that is too long counts as several."""
        while part := os.read(self.descriptor, PART):
            self.empty = False
            *lines, self.rest = (self.rest + part).split(b"\n")
            yield from lines
            if len(self.rest) > PART:
                yield self.rest
                self.rest = b""

    def back(self, position: int, rest: bytes) -> None:
        """Read again from there."""
        os.lseek(self.descriptor, position, os.SEEK_SET)
        self.rest = rest

    def settled(self) -> bool:
        """Whether the evidence of all that was read has been written."""
        self.unwritten = [each for each in self.unwritten if not each.done()]
        return not self.unwritten


class JournalReader:
    """Reads the journal behind the hook's writes; belongs to the event loop."""

    def __init__(
        self,
        folder: JournalFolder,
        enter: Callable[[Sequence[bytes]], Sequence[Future[None]]],
        all_written: Callable[[], bool],
        gap_s: Callable[[float], None],
    ) -> None:
        """`enter` takes lines into the evidence, and gives futures that are done when they are on the disk.
        `all_written` says whether no evidence is kept in memory for want of room. `gap_s` is told before each reading
        how long ago all lines were read.
        """
        self._folder = folder
        self._enter = enter
        self._all_written = all_written
        self._gap_s = gap_s
        self._files: list[_File] = []
        self._read_s: float | None = None
        self._seen_s: float | None = None
        self._noted_s = 0.0
        self._looks: deque[tuple[float, list[Future[None]]]] = deque()
        """When it has looked (Unix time), and what was entered then; only what is not known to be on the disk."""
        self._replaced_s = time.monotonic()
        self._told = ""
        self.read = asyncio.Event()
        """All that was there at the start has been read."""

    async def follow(self) -> None:
        """For ever. What goes wrong is logged once, and tried again."""
        with self._watching() as written:
            while True:
                trouble = ""
                try:
                    await self._look_after()
                    self.look()
                    await self._clear_away()
                except JournalError as error:
                    trouble = str(error)
                except OSError as error:
                    trouble = f"{self._folder.directory}: {error.strerror}"
                if trouble and trouble != self._told:
                    _log.error("the journal cannot be read: %s", trouble)
                self._told = trouble
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await written()

    async def _look_after(self) -> None:
        """See now and then that the hook has a file, and which files there are."""
        now_s = time.monotonic()
        if self._seen_s is None or now_s - self._seen_s >= POLL_S:
            self._seen_s = now_s
            await asyncio.to_thread(self._folder.make)
            self._open()

    def look(self) -> None:
        """Read and enter what is there. Raises OSError and JournalError; what could not be entered is read again."""
        now_s, clock_s = time.monotonic(), time.time()
        known = clock_s - self._folder.read_until() if self._read_s is None else now_s - self._read_s
        self._gap_s(max(0.0, known))
        entered = [each for file in self._files for each in self._enter_of(file)]
        if self._looks and (not entered or not self._all_written()):
            _, before = self._looks.pop()
            entered = [*(each for each in before if not each.done()), *entered]
        self._looks.append((clock_s, entered))
        self._read_s = now_s
        if now_s - self._noted_s >= NOTE_EVERY_S:
            self._noted_s = now_s
            self._note()
        self.read.set()

    def _enter_of(self, file: _File) -> Sequence[Future[None]]:
        """Enter what was written to it since."""
        position, rest = os.lseek(file.descriptor, 0, os.SEEK_CUR), file.rest
        lines = list(file.lines())
        if not lines:
            return ()
        try:
            written = self._enter(lines)
        except JournalError:
            file.back(position, rest)
            raise
        file.unwritten += written
        return written

    def _note(self) -> None:
        """Until when all lines are on the disk: later ones are read again after a kill, and must be believed then."""
        until_s = None
        while self._all_written() and self._looks and all(each.done() for each in self._looks[0][1]):
            until_s, _ = self._looks.popleft()
        if until_s is not None:
            self._folder.note_read(until_s)

    def _open(self) -> None:
        """In the order in which they were written."""
        known = {file.inode: file for file in self._files}
        for path in (*self._folder.taken(), self._folder.path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another instance has removed it
            inode = os.fstat(descriptor).st_ino
            if inode in known:
                os.close(descriptor)
                known[inode].path = path
            else:
                known[inode] = _File(path, descriptor, inode)
                self._files.append(known[inode])

    async def _clear_away(self) -> None:
        """Replace the file that the hook writes to now and then, and remove those that are finished."""
        now_s = time.monotonic()
        current = next((file for file in self._files if file.path == self._folder.path), None)
        if current and not current.empty:
            size = os.fstat(current.descriptor).st_size
            if size >= REPLACE_AT or now_s - self._replaced_s >= REPLACE_EVERY_S:
                await asyncio.to_thread(self._folder.replace)
                self._replaced_s = now_s
                self._open()
        elif current:
            self._replaced_s = now_s
        for file in [file for file in self._files if file.path != self._folder.path]:
            if file.settled() and self._all_written() and await asyncio.to_thread(is_quiet, file.descriptor):
                entered = self._enter_of(file)  # written between the last look and now
                if file.rest and not entered:
                    rest, file.rest = file.rest, b""
                    file.unwritten += self._enter([rest])  # cut off, by a disk without room
                elif not entered:
                    self._files.remove(file)
                    os.close(file.descriptor)
                    file.path.unlink(missing_ok=True)

    @contextmanager
    def _watching(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What waits until a file in the folder is written to. Without inotify it waits for ever; polling remains."""
        loop = asyncio.get_running_loop()
        with ExitStack() as resources:
            try:
                watching = resources.enter_context(INotify(nonblocking=True))
                watching.add_watch(self._folder.directory, flags.MODIFY)
            except OSError as error:
                _log.warning("inotify cannot be used (%s); the journal is read every %g s", error.strerror, POLL_S)
                yield loop.create_future
                return

            async def written() -> None:
                told = loop.create_future()

                def tell() -> None:
                    if not told.done():
                        told.set_result(None)

                loop.add_reader(watching.fileno(), tell)
                try:
                    await told
                finally:
                    loop.remove_reader(watching.fileno())
                await asyncio.sleep(GATHER_S)
                watching.read(timeout=0)

            yield written

    def close(self) -> None:
        """Let go of the files; what was read and is not on the disk is read again by the next instance."""
        for file in self._files:
            os.close(file.descriptor)
        self._files.clear()
