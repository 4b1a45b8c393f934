"""Reads the journal, the file to which the hook appends a line for each of its acts.

For each line, the hook opens the file, appends the line in one write and closes the file. The service follows the file
and replaces it with an empty one every few seconds. The old file is removed when the evidence of all its lines is on
disk and either no process can write to it or a minute has passed. At startup, the service reads the existing files from
the beginning. The ledger shows which lines were already recorded.
"""

import asyncio
import fcntl
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from idtone import dialplan
from idtone.core.errors import JournalError
from idtone.core.log_throttle import LogThrottle
from idtone.core.translation import Message

from .journal_file import JournalFile, drop_done

_log = logging.getLogger(__name__)

GATHER_S: Final = 0.03
"""How long the reader waits for more lines after the first, in seconds. One read takes as long as several lines."""
POLL_S: Final = 0.5
"""How often the file is read even if inotify reports no write, in seconds."""
SAVE_EVERY_S: Final = 1.0
"""How often the time up to which all lines were read is saved, in seconds."""
REPLACE_EVERY_S: Final = 5.0
"""Maximum time that a line stays in the file before it is replaced, in seconds. Lines can contain telephone numbers."""
REPLACE_AT: Final = 1024 * 1024
"""Size in octets at which the file is replaced immediately."""
LINES_AT_ONCE: Final = 16
"""Maximum number of lines to enter at once, which takes some milliseconds. After that, the event loop has as much time
for calls that are waiting for a verdict.
"""
HELD_S: Final = 60.0
"""Maximum time for which a replaced file may stay open for writing, in seconds. The hook has it open for some
microseconds, longer only if Asterisk is stopped at that moment. A process that keeps it open for a minute is not the
hook or no longer serves calls, and the file can contain telephone numbers.
"""
MOST_FILES: Final = 50
"""Number of files at which the hook's file is no longer replaced. Each file takes a descriptor, and all of them remain
while the ledger cannot be written.
"""
FOLDER_MODE: Final = 0o710
FILE_MODE: Final = 0o620
"""File mode. Asterisk's group can write to the file and empty it but not read it, because lines can contain telephone
numbers in clear text.
"""
TAKEN: Final = "taken-"
"""Prefix of the files that the hook no longer writes to."""
READ: Final = ".read"
"""File whose modification time is the time up to which the service has read all lines."""
_EMPTY: Final = f".{dialplan.JOURNAL_FILE}."
REFUSED: Final = "refused"
_REFUSED_MODE: Final = 0o600
MOST_REFUSED_BYTES: Final = 1024 * 1024
"""Maximum size of the file of refused lines in bytes, so that they cannot fill the disk."""


class JournalFolder:
    """The journal's folder and its files. Several processes may use it.

    It has the same group as the folder `group_of`. Asterisk's user is a member of this group.
    """

    def __init__(self, directory: Path, group_of: Path) -> None:
        self.directory = directory
        self.path = directory / dialplan.JOURNAL_FILE
        self._group_of = group_of

    def make(self) -> None:
        """Create the folder, unreadable to other users, and the hook's file. Raises JournalError."""
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

    def closed_files(self) -> list[Path]:
        """Files that the hook no longer writes to, oldest first."""
        return sorted(self.directory.glob(f"{TAKEN}*"))

    def replace(self) -> None:
        """Replace the hook's file with an empty file, unless it is already empty. Raises JournalError."""
        try:
            with self._locked():
                status = self.path.stat()
                if not status.st_size:
                    return
                # Else a process was killed between this link and the replacement.
                if status.st_nlink == 1 or status.st_ino not in map(_inode, self.closed_files()):
                    os.link(self.path, self.path.with_name(f"{TAKEN}{time.time_ns()}"))
                os.replace(self._empty(status.st_gid), self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def read_until(self) -> float:
        """Unix time up to which all lines were read, or 0 if no time was saved."""
        try:
            return (self.directory / READ).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def save_read_until(self, until_s: float) -> None:
        """Save the Unix time up to which all lines were read and their evidence is on disk. Raises OSError."""
        path = self.directory / READ
        path.touch(_REFUSED_MODE)
        os.utime(path, (until_s, until_s))

    def keep_refused(self, lines: Sequence[str]) -> None:
        """Append refused lines, without their digits, to a file. Raises OSError."""
        path = self.directory / REFUSED
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _REFUSED_MODE)
        with os.fdopen(descriptor, "a", encoding="ascii") as file:
            if os.fstat(descriptor).st_size < MOST_REFUSED_BYTES:
                file.writelines(f"{line}\n" for line in lines)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder during the block, because two instances use it during a hand-over."""
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


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


class JournalReader:
    """Follows the journal and passes new lines to a function. Use it in a single event loop."""

    def __init__(
        self,
        folder: JournalFolder,
        enter: Callable[[Sequence[bytes]], Awaitable[Sequence[Future[None]]]],
        all_written: Callable[[], bool],
        set_gap_s: Callable[[float], None],
    ) -> None:
        """Set the functions that process lines.

        `enter` records lines as evidence; its futures complete when the evidence is on disk. `all_written` returns
        False while some evidence could not be written. Before lines are recorded, `set_gap_s` receives the seconds
        since all lines were last read.
        """
        self._folder = folder
        self._enter = enter
        self._all_written = all_written
        self._set_gap_s = set_gap_s
        self._files: list[JournalFile] = []
        self._reading = asyncio.Lock()
        self._entered: deque[Future[None]] = deque()
        """Evidence of the lines entered since all lines were read. The first one is not on disk."""
        self.held_files = 0
        """Number of files removed while a process had them open for writing. Thread-safe."""
        self._held = LogThrottle(_log)
        self._began_s = time.monotonic()
        self._read_s: float | None = None
        self._refreshed_s: float | None = None
        self._saved_s = 0.0
        self._reads: deque[tuple[float, deque[Future[None]]]] = deque()
        """The Unix time of each read with its evidence, until that is known to be on disk."""
        self._replaced_s = time.monotonic()
        self._logged = ""
        self.read = asyncio.Event()
        """An event that is set when all lines that existed at startup have been read."""

    @property
    def lag_s(self) -> float:
        """Seconds since all lines were read, or since the start if they never were. Thread-safe."""
        read_s = self._read_s
        return time.monotonic() - (self._began_s if read_s is None else read_s)

    async def follow(self) -> None:
        """Follow the journal until cancelled. After an error, it tries again; the error is logged once."""
        with self._watching() as written:
            while True:
                trouble = ""
                try:
                    refreshed = await self._refresh_files()
                    await self.read_new_lines()
                    await self._replace_when_due()
                    if refreshed:
                        await self._remove_finished()
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

    async def _refresh_files(self) -> bool:
        now_s = time.monotonic()
        if self._refreshed_s is not None and now_s - self._refreshed_s < POLL_S:
            return False
        self._refreshed_s = now_s
        await asyncio.to_thread(self._folder.make)
        self._open()
        return True

    async def read_all(self) -> None:
        """Read all existing lines. Raises OSError or JournalError."""
        self._open()
        await self.read_new_lines()

    async def read_new_lines(self) -> None:
        """Read and record new lines in portions of `LINES_AT_ONCE`.

        Raises OSError or JournalError. The next call retries the lines that could not be recorded.
        """
        async with self._reading:
            now_s, clock_s = time.monotonic(), time.time()
            for file in tuple(self._files):
                await self._enter_new_lines(file)
            entered, self._entered = self._entered, deque()
            if self._reads and (not entered or not self._all_written()):
                _, before = self._reads.pop()
                drop_done(before)
                entered = before + entered
            self._reads.append((clock_s, entered))
            self._read_s = now_s
            if now_s - self._saved_s >= SAVE_EVERY_S:
                self._saved_s = now_s
                self._save_read_until()
            self.read.set()

    async def _enter_new_lines(self, file: JournalFile) -> bool:
        until, began_s, found = file.size(), time.thread_time(), False
        self._set_gap_s(self._gap_s())
        while file.has_lines(until):
            found = True
            part = tuple(islice(file.lines, LINES_AT_ONCE))
            written = await self._enter(part)
            for _ in part:
                file.lines.popleft()
            for evidence in (file.unwritten, self._entered):
                evidence += written
                drop_done(evidence)
            if len(part) == LINES_AT_ONCE:
                await asyncio.sleep(time.thread_time() - began_s)
                began_s = time.thread_time()
                self._set_gap_s(self._gap_s())
        return found

    def _gap_s(self) -> float:
        if self._read_s is not None:
            return time.monotonic() - self._read_s
        return max(0.0, time.time() - self._folder.read_until())

    def _save_read_until(self) -> None:
        """Save the time up to which all lines are on disk.

        After a crash, the next instance reads later lines again and accepts them because of this time.
        """
        until_s = None
        while self._all_written() and self._reads and drop_done(self._reads[0][1]):
            until_s, _ = self._reads.popleft()
        if until_s is not None:
            self._folder.save_read_until(until_s)

    def _open(self) -> None:
        # The hook's file is opened before the others are listed. If another instance replaces it meanwhile, even more
        # than once, the list has it and all that came after it.
        current = self._descriptor(self._folder.path)
        try:
            for path in self._folder.closed_files():
                self._add(path, self._descriptor(path))
        except OSError:
            if current is not None:
                os.close(current)
            raise
        self._add(self._folder.path, current)

    def _add(self, path: Path, descriptor: int | None) -> None:
        if descriptor is None:
            return
        inode = os.fstat(descriptor).st_ino
        known = next((file for file in self._files if file.inode == inode), None)
        if known:
            os.close(descriptor)
            known.path = path
        else:
            self._files.append(JournalFile(path, descriptor, inode))

    @staticmethod
    def _descriptor(path: Path) -> int | None:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None  # another instance removed it

    async def _replace_when_due(self) -> None:
        now_s = time.monotonic()
        current = next((file for file in self._files if file.path == self._folder.path), None)
        if current and current.position and len(self._files) <= MOST_FILES:
            if current.size() >= REPLACE_AT or now_s - self._replaced_s >= REPLACE_EVERY_S:
                await asyncio.to_thread(self._folder.replace)
                self._replaced_s = now_s
                self._open()
        elif current:
            self._replaced_s = now_s

    async def _remove_finished(self) -> None:
        for file in [file for file in self._files if file.path != self._folder.path]:
            async with self._reading:
                if await self._is_finished(file):
                    self._remove(file)

    async def _is_finished(self, file: JournalFile) -> bool:
        now_s = time.monotonic()
        if file.replaced_s is None:
            file.replaced_s = now_s
        quiet = file.given_up or await asyncio.to_thread(file.is_quiet)
        if not quiet:
            if now_s - file.replaced_s < HELD_S:
                return False
            await self._enter_new_lines(file)
            file.given_up = True
        if await self._enter_new_lines(file) or not file.settled() or not self._all_written():
            return False
        if file.rest:
            file.unwritten += await self._enter([file.rest])  # a full disk cut this line off
            file.rest = b""
            return file.settled()
        return True

    def _remove(self, file: JournalFile) -> None:
        """Empty and remove a file.

        Emptying it leaves no line under another name of the file or for a process that still has it open.
        """
        with suppress(OSError):  # another instance removed it, or it belongs to another user
            os.truncate(file.path, 0)
        file.path.unlink(missing_ok=True)
        self._files.remove(file)
        os.close(file.descriptor)
        if file.given_up:
            self.held_files += 1
            self._held.warning(
                f"a process kept an old file of the journal open for more than {HELD_S:g} s, and it was emptied and "
                "removed; only Asterisk should write to the journal, and it closes the file after each line: find the "
                f"process with `lsof +L1 | grep {TAKEN}` as root"
            )

    @contextmanager
    def _watching(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """Yield a function that waits for the next write in the folder.

        Without inotify, that function never returns, and the reader only polls.
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
        """Close the files. The next instance rereads the lines whose evidence is not on disk."""
        for file in self._files:
            os.close(file.descriptor)
        self._files.clear()
