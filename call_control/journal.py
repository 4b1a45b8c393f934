"""The journal: the file in which the hook writes what it did, and its reader in the service.

The hook opens the file for each line, appends the line in one write, and closes the file. The service follows the file.
Every few seconds it replaces the file with an empty one. It removes the old file when the hook can no longer write to
it and the evidence of all its lines is on the disk. A service that starts reads the existing files from the beginning;
the ledger shows which lines were entered before.
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
from idtone.translation import Message

_log = logging.getLogger(__name__)

GATHER_S: Final = 0.03
"""How long the reader waits after the first line for further ones: one read costs as much as several lines."""
POLL_S: Final = 0.5
"""How often the file is read even if inotify reports no write."""
SAVE_EVERY_S: Final = 1.0
"""How often the time up to which all lines were read is saved."""
REPLACE_EVERY_S: Final = 5.0
"""How long a line stays in the file at most before the file is replaced: a line can hold telephone numbers."""
REPLACE_AT: Final = 1024 * 1024
"""Size in octets from which the file is replaced at once."""
PART: Final = 64 * 1024
"""Octets per read."""
QUIET_S: Final = 5.0
"""If the kernel cannot say whether a file is open for writing: seconds since its last write after which it counts as
closed.
"""
FOLDER_MODE: Final = 0o710
FILE_MODE: Final = 0o620
"""Asterisk's group can write to the file and empty it, but not read it: lines can hold telephone numbers in clear."""
TAKEN: Final = "taken-"
"""Prefix of the files that the hook no longer writes to."""
READ: Final = ".read"
"""Its modification time is the time up to which the service has read all lines."""
_EMPTY: Final = f".{dialplan.JOURNAL_FILE}."
REFUSED: Final = "refused"
_REFUSED_MODE: Final = 0o600
MOST_REFUSED_BYTES: Final = 1024 * 1024
"""Limit for the file of refused lines, so that they cannot fill the disk."""


class JournalFolder:
    """The folder and its files. Several processes may use it. Asterisk's user is in the group of `group_of`."""

    def __init__(self, directory: Path, group_of: Path) -> None:
        self.directory = directory
        self.path = directory / dialplan.JOURNAL_FILE
        self._group_of = group_of

    def make(self) -> None:
        """Make the folder, which other users cannot read, and the file for the hook. Raises JournalError."""
        try:
            group = self._group_of.stat().st_gid
            self.directory.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            folder = self.directory.stat()
            # g+s gives new files the folder's group even if the user is not in it. A needless chmod() would clear g+s.
            if (folder.st_gid, folder.st_mode & 0o777) != (group, FOLDER_MODE):
                os.chown(self.directory, -1, group)
                self.directory.chmod(FOLDER_MODE)
            with self._locked():
                for left in self.directory.glob(f"{_EMPTY}*"):
                    left.unlink()  # a process was killed before it renamed this file
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
        """Replace the file that the hook writes to with an empty one, unless it is empty. Raises JournalError."""
        try:
            with self._locked():
                status = self.path.stat()
                if not status.st_size:
                    return
                if status.st_nlink == 1:  # else a process was killed between this link and the replacement
                    os.link(self.path, self.path.with_name(f"{TAKEN}{time.time_ns()}"))
                os.replace(self._empty(status.st_gid), self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def read_until(self) -> float:
        """The time (Unix) up to which all lines were read; 0 if it was never saved."""
        try:
            return (self.directory / READ).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def save_read_until(self, until_s: float) -> None:
        """Save the time (Unix) up to which all lines were read and their evidence is on the disk. Raises OSError."""
        path = self.directory / READ
        path.touch(_REFUSED_MODE)
        os.utime(path, (until_s, until_s))

    def refuse(self, lines: Sequence[str]) -> None:
        """Keep refused lines. The caller has removed their digits. Raises OSError."""
        path = self.directory / REFUSED
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _REFUSED_MODE)
        with os.fdopen(descriptor, "a", encoding="ascii") as file:
            if os.fstat(descriptor).st_size < MOST_REFUSED_BYTES:
                file.writelines(f"{line}\n" for line in lines)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """During a hand-over two instances use the folder."""
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
            Message(
                "{directory}: the journal cannot be used: {reason}; make the user that runs idtone the owner "
                "of this folder, give it the group of {group}, and run: chmod 2710 {directory}",
                directory=self.directory,
                reason=error.strerror,
                group=self._group_of,
            )
        )


def is_quiet(descriptor: int) -> bool:
    """Whether no process has the file open for writing."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # this signal does not end the process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # fails while it is open for writing
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return False
        # The file belongs to another user, or the file system has no leases.
        return time.time() - os.fstat(descriptor).st_mtime > QUIET_S
    return True


@dataclass
class _File:
    """One file of the journal, and the position up to which it was read."""

    path: Path
    descriptor: int
    inode: int
    rest: bytes = b""
    """The beginning of a line whose end was not yet written."""
    unwritten: list[Future[None]] = field(default_factory=list)
    empty: bool = True

    def lines(self) -> Iterator[bytes]:
        """The lines since the last read, without line ends. A line that is too long is split."""
        while part := os.read(self.descriptor, PART):
            self.empty = False
            *lines, self.rest = (self.rest + part).split(b"\n")
            yield from lines
            if len(self.rest) > PART:
                yield self.rest
                self.rest = b""

    def go_back(self, position: int, rest: bytes) -> None:
        """Continue reading from this position."""
        os.lseek(self.descriptor, position, os.SEEK_SET)
        self.rest = rest

    def settled(self) -> bool:
        """Whether the evidence of all lines read so far is on the disk."""
        self.unwritten = [each for each in self.unwritten if not each.done()]
        return not self.unwritten


class JournalReader:
    """Follows the journal; use it in the event loop only."""

    def __init__(
        self,
        folder: JournalFolder,
        enter: Callable[[Sequence[bytes]], Sequence[Future[None]]],
        all_written: Callable[[], bool],
        set_gap_s: Callable[[float], None],
    ) -> None:
        """`enter` turns lines into evidence; its futures are done when that is on the disk. `all_written` is False
        while some evidence could not be written. Before each read, `set_gap_s` gets the seconds since the last one.
        """
        self._folder = folder
        self._enter = enter
        self._all_written = all_written
        self._set_gap_s = set_gap_s
        self._files: list[_File] = []
        self._began_s = time.monotonic()
        self._read_s: float | None = None
        self._refreshed_s: float | None = None
        self._saved_s = 0.0
        self._reads: deque[tuple[float, list[Future[None]]]] = deque()
        """The time (Unix) of each read and its evidence, until that is known to be on the disk."""
        self._replaced_s = time.monotonic()
        self._logged = ""
        self.read = asyncio.Event()
        """Set when all lines that existed at the start have been read."""

    @property
    def lag_s(self) -> float:
        """Seconds since all lines were read, or since the start if they never were. From any thread."""
        read_s = self._read_s
        return time.monotonic() - (self._began_s if read_s is None else read_s)

    async def follow(self) -> None:
        """Follow the journal until cancelled. An error is logged once, and the reader tries again."""
        with self._watching() as written:
            while True:
                trouble = ""
                try:
                    await self._refresh_files()
                    self.read_new_lines()
                    await self._clear_away()
                except JournalError as error:
                    trouble = str(error)
                except OSError as error:
                    trouble = f"{self._folder.directory}: {error.strerror}"
                if trouble and trouble != self._logged:
                    _log.error("the journal cannot be read: %s", trouble)
                self._logged = trouble
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await written()

    async def _refresh_files(self) -> None:
        """Every `POLL_S`, make the hook's file if it is missing, and open new files."""
        now_s = time.monotonic()
        if self._refreshed_s is None or now_s - self._refreshed_s >= POLL_S:
            self._refreshed_s = now_s
            await asyncio.to_thread(self._folder.make)
            self._open()

    def read_new_lines(self) -> None:
        """Read and enter new lines. Raises OSError and JournalError; the next call reads lines again that could not be
        entered.
        """
        now_s, clock_s = time.monotonic(), time.time()
        known = clock_s - self._folder.read_until() if self._read_s is None else now_s - self._read_s
        self._set_gap_s(max(0.0, known))
        entered = [each for file in self._files for each in self._enter_new_lines(file)]
        if self._reads and (not entered or not self._all_written()):
            _, before = self._reads.pop()
            entered = [*(each for each in before if not each.done()), *entered]
        self._reads.append((clock_s, entered))
        self._read_s = now_s
        if now_s - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = now_s
            self._save_read_until()
        self.read.set()

    def _enter_new_lines(self, file: _File) -> Sequence[Future[None]]:
        """Enter the lines that were written to this file since the last read."""
        position, rest = os.lseek(file.descriptor, 0, os.SEEK_CUR), file.rest
        try:
            lines = list(file.lines())
            written = self._enter(lines) if lines else ()
        except (JournalError, OSError):
            file.go_back(position, rest)
            raise
        file.unwritten += written
        return written

    def _save_read_until(self) -> None:
        """Save the time up to which all lines are on the disk. After a kill the next instance reads later lines again,
        and accepts them because they are later than this time.
        """
        until_s = None
        while self._all_written() and self._reads and all(each.done() for each in self._reads[0][1]):
            until_s, _ = self._reads.popleft()
        if until_s is not None:
            self._folder.save_read_until(until_s)

    def _open(self) -> None:
        """Open new files, in the order in which they were written."""
        known = {file.inode: file for file in self._files}
        # The hook's file is opened before the others are listed. If another instance replaces it meanwhile, even more
        # than once, the list has it and all that came after it.
        current = self._descriptor(self._folder.path)
        taken = [(path, self._descriptor(path)) for path in self._folder.taken()]
        for path, descriptor in (*taken, (self._folder.path, current)):
            if descriptor is None:
                continue
            inode = os.fstat(descriptor).st_ino
            if inode in known:
                os.close(descriptor)
                known[inode].path = path
            else:
                known[inode] = _File(path, descriptor, inode)
                self._files.append(known[inode])

    @staticmethod
    def _descriptor(path: Path) -> int | None:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None  # another instance removed it

    async def _clear_away(self) -> None:
        """Replace the hook's file when it is due, and remove finished files."""
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
                entered = self._enter_new_lines(file)  # lines that were written since the last read
                if file.rest and not entered:
                    rest, file.rest = file.rest, b""
                    file.unwritten += self._enter([rest])  # a full disk cut this line off
                elif not entered:
                    self._files.remove(file)
                    os.close(file.descriptor)
                    file.path.unlink(missing_ok=True)

    @contextmanager
    def _watching(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """Yields a function that waits for the next write in the folder. Without inotify it never returns, and the
        reader only polls.
        """
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
                notified = loop.create_future()

                def notify() -> None:
                    if not notified.done():
                        notified.set_result(None)

                loop.add_reader(watching.fileno(), notify)
                try:
                    await notified
                finally:
                    loop.remove_reader(watching.fileno())
                await asyncio.sleep(GATHER_S)
                watching.read(timeout=0)

            yield written

    def close(self) -> None:
        """Close the files. The next instance rereads the lines whose evidence is not on the disk."""
        for file in self._files:
            os.close(file.descriptor)
        self._files.clear()
