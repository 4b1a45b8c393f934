"""The files of the journal. Each line is read once, and removed when its evidence is on the disk."""

import asyncio
import errno
import itertools
import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.call_control import journal_file
from idtone.call_control import journal_reader as module
from idtone.call_control.journal_file import PART, JournalFile
from idtone.call_control.journal_reader import FILE_MODE, FOLDER_MODE, JournalFolder
from idtone.core.errors import JournalError
from lab.call_control.journal_helpers import (
    EnteredLines,
    append_text,
    is_cleared,
    new_journal,
    run_reader,
    taken_files,
    wait_until,
)
from lab.call_control.unix_users import (
    ASTERISK_GROUP,
    SERVICE_GROUP,
    SERVICE_USER,
    acting_as,
    needs_root,
    shared_folder,
)

OTHER_GROUP = 54_324


@pytest.fixture
def entered() -> EnteredLines:
    return EnteredLines()


@pytest.fixture
def unpolled(monkeypatch) -> None:
    """Set the poll interval to a minute, so that only inotify can cause an earlier read."""
    monkeypatch.setattr(module, "POLL_S", 60.0)


def mode(path: Path) -> int:
    return S_IMODE(path.stat().st_mode)


# -- who may write and read -------------------------------------------------------------------------------------------


def test_asterisk_can_write_but_not_read_and_other_users_can_do_neither(folder):
    assert (mode(folder.directory), mode(folder.path)) == (0o710, 0o620) == (FOLDER_MODE, FILE_MODE)
    append_text(folder, "a\n")
    before = folder.path.stat()
    for wrong in (0o710, 0o755, 0o700, 0o2770, 0o777):
        folder.directory.chmod(wrong)
        folder.make()
        assert mode(folder.directory) & 0o777 == 0o710, oct(wrong)
    assert folder.path.stat() == before, "it is made once"
    assert list(folder.directory.iterdir()) == [folder.path]
    folder.replace()
    assert mode(folder.path) == 0o620
    assert [path.stat().st_mode & 0o007 for path in folder.directory.iterdir()] == [0, 0]


@needs_root
@pytest.mark.parametrize("sticky", [0, 0o2000])
@pytest.mark.parametrize("there", [False, True])
def test_the_group_is_that_of_the_sounds(tmp_path, sticky, there):
    """The group is right even if an operator created the folder with g+s for another group.

    It is also right after a change of the sounds' group.
    """
    sounds, directory = tmp_path / "sounds", tmp_path / "var" / "journal"
    sounds.mkdir()
    directory.parent.mkdir()
    for place in (directory.parent, directory) if there else (directory.parent,):
        place.mkdir(exist_ok=True)
        os.chown(place, -1, OTHER_GROUP)
        place.chmod(0o770 | sticky)
    folder = JournalFolder(directory, sounds)
    for group in (ASTERISK_GROUP, OTHER_GROUP + 1):
        os.chown(sounds, -1, group)
        folder.make()
        append_text(folder, "a\n")
        assert folder.path.stat().st_gid == group
        folder.replace()
        folder.make()
        for path in (directory, folder.path, directory / taken_files(folder)[-1]):
            assert path.stat().st_gid == group, path
    assert (mode(directory) & 0o777, mode(folder.path)) == (0o710, 0o620)


@needs_root
def test_a_service_outside_asterisks_group_uses_a_folder_that_hands_its_group_on():
    with shared_folder() as sounds:
        folder = JournalFolder(sounds / "journal", sounds)
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            for _ in range(2):
                folder.make()
                append_text(folder, "a\n")
                folder.replace()
        for path in (folder.directory, folder.path):
            assert (path.stat().st_uid, path.stat().st_gid) == (SERVICE_USER, ASTERISK_GROUP)
        assert (mode(folder.directory) & 0o777, mode(folder.path)) == (0o710, 0o620)
        with acting_as(SERVICE_USER + 100, ASTERISK_GROUP):
            append_text(folder, "b\n")
            with pytest.raises(PermissionError):
                folder.path.read_bytes()
            with pytest.raises(PermissionError):
                list(folder.directory.iterdir())
            with pytest.raises(PermissionError):
                folder.path.unlink()
        with acting_as(SERVICE_USER + 100, SERVICE_GROUP), pytest.raises(PermissionError):
            append_text(folder, "c\n")


@pytest.mark.parametrize("act", [JournalFolder.make, JournalFolder.replace])
def test_a_folder_that_cannot_be_used_is_an_error_with_its_remedy(tmp_path, act):
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalError, match="make the user that runs idtone the owner of this folder"):
        act(JournalFolder(tmp_path / "journal", tmp_path))


# -- a file is replaced -----------------------------------------------------------------------------------------------


def test_a_file_with_lines_is_replaced_by_an_empty_one(folder):
    folder.replace()
    assert taken_files(folder) == []
    for text in ("a\n", "b\n"):
        append_text(folder, text)
        folder.replace()
    assert [path.read_text() for path in folder.closed_files()] == ["a\n", "b\n"]
    assert folder.path.read_text() == ""


class Killed(BaseException):
    pass


@pytest.mark.parametrize("function", ["link", "replace", "fchmod", "killed"])
def test_a_replacement_that_failed_or_was_killed_half_way_is_completed(folder, monkeypatch, function):
    """The old file has two names after a kill, and the hook still writes to it."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise Killed if function == "killed" else OSError(errno.ENOSPC, "No space left on device")

    append_text(folder, "a\n")
    with monkeypatch.context() as failing:
        failing.setattr(os, "replace" if function == "killed" else function, fail)
        with pytest.raises((JournalError, Killed), match=None if function == "killed" else "No space"):
            folder.replace()
    assert folder.path.read_text() == "a\n"
    append_text(folder, "b\n")
    folder.make()
    folder.replace()
    assert [path.read_text() for path in folder.closed_files()] == ["a\nb\n"]
    assert [path.name for path in folder.directory.iterdir() if path.name.startswith(".")] == []


def test_instances_that_replace_it_at_once_lose_nothing(folder):
    """Each instance locks the folder while it replaces the file."""
    others = [JournalFolder(folder.directory, folder.directory.parent) for _ in range(4)]
    names = [f"{number}\n" for number in range(100)]

    def replace_often(each: JournalFolder) -> None:
        while not over.is_set():
            each.make()
            each.replace()

    over = threading.Event()
    threads = [threading.Thread(target=replace_often, args=(each,)) for each in others]
    for thread in threads:
        thread.start()
    for name in names:
        append_text(folder, name)
        time.sleep(0.0005)
    over.set()
    for thread in threads:
        thread.join()
    text = "".join(path.read_text() for path in (*folder.closed_files(), folder.path))
    assert text == "".join(names)


def is_quiet(folder: JournalFolder, reading: BinaryIO) -> bool:
    return JournalFile(folder.path, reading.fileno(), 0).is_quiet()


# -- a file is quiet --------------------------------------------------------------------------------------------------


def test_a_file_is_quiet_if_no_process_has_it_open_for_writing(folder):
    append_text(folder, "a\n")
    with folder.path.open("rb") as reading, folder.path.open("rb"):
        for flags in (os.O_WRONLY | os.O_APPEND, os.O_RDWR):
            descriptors = [os.open(folder.path, flags) for _ in range(2)]
            for descriptor in descriptors:
                assert not is_quiet(folder, reading)
                os.close(descriptor)
            assert is_quiet(folder, reading)
        append_text(folder, "b\n")
        assert is_quiet(folder, reading)


@needs_root
def test_if_the_kernel_cannot_say_a_file_is_quiet_after_some_time(folder):
    """The kernel does not report this for a file of another user."""
    with folder.path.open("rb") as reading, acting_as(SERVICE_USER, SERVICE_GROUP):
        os.seteuid(0)
        os.utime(folder.path)
        os.seteuid(SERVICE_USER)
        assert not is_quiet(folder, reading)
        os.seteuid(0)
        os.utime(folder.path, (0, time.time() - journal_file.QUIET_S - 1))
        os.seteuid(SERVICE_USER)
        assert is_quiet(folder, reading)


# -- refused lines ----------------------------------------------------------------------------------------------------


def test_refused_lines_are_kept_up_to_a_limit(folder, monkeypatch):
    monkeypatch.setattr(module, "MOST_REFUSED_BYTES", 100)
    for _ in range(50):
        folder.keep_refused(["decided,0", "x"])
    refused = folder.directory / "refused"
    assert refused.read_text() == "decided,0\nx\n" * 9
    assert mode(refused) == 0o600


# -- lines are read ---------------------------------------------------------------------------------------------------


async def test_existing_and_new_lines_are_read(folder, entered):
    """Closed files are read before the file that the hook writes to."""
    for text in ("a\n", "b\n"):
        append_text(folder, text)
        folder.replace()
    append_text(folder, "c\nd\n")
    assert not entered.reader(folder).read.is_set()
    async with entered.following(folder):
        assert entered.lines == ["a", "b", "c", "d"]
        for number in range(5):
            append_text(folder, f"{number}\n{number}x\n")
            await entered.has(6 + 2 * number)
    assert entered.lines[4:] == [f"{number}{end}" for number in range(5) for end in ("", "x")]


async def test_a_line_is_entered_when_its_end_is_written(folder, entered, unpolled):
    async with entered.following(folder) as reader:
        for text, lines in (("a", 0), ("b", 0), ("c\nd", 1), ("\n", 2), ("\n\n", 4), ("e", 4)):
            append_text(folder, text)
            await reader.read_new_lines()
            assert len(entered.lines) == lines
    assert entered.lines == ["abc", "d", "", ""]


async def test_long_lines(folder):
    for length in (2047, 4096, PART - 1, PART, PART + 1):
        lines = [character * length for character in "abcd"]
        entered = EnteredLines()
        async with entered.following(folder) as reader:
            entered.lines.clear()  # lines of the lengths before
            for line in lines:
                append_text(folder, f"{line}\n")
                await reader.read_new_lines()
        assert "".join(entered.lines) == "".join(lines)
        assert entered.lines == lines or length >= PART


async def test_a_line_without_an_end_does_not_fill_the_memory(folder, entered):
    async with entered.following(folder) as reader:
        for _ in range(3):
            append_text(folder, "x" * (PART + 1))
            await reader.read_new_lines()
        append_text(folder, "\na\n")
        await reader.read_new_lines()
    assert entered.lines[-1] == "a"
    assert max(map(len, entered.lines)) <= 2 * PART


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=30), max_size=20),
    st.lists(st.integers(0, 400), max_size=20),
    st.integers(1, 9),
)
def test_any_lines_in_any_parts(tmp_path_factory, lines, cuts, part):
    folder = new_journal(tmp_path_factory.mktemp("journal"))
    text = "".join(f"{line}\n" for line in lines)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    entered = EnteredLines()

    async def read() -> None:
        async with entered.following(folder) as reader:
            for start, end in itertools.pairwise(places):
                append_text(folder, text[start:end])
                await reader.read_new_lines()

    with pytest.MonkeyPatch.context() as patch:
        # A rest longer than a part counts as a separate line.
        patch.setattr(journal_file, "PART", 32 + part)
        asyncio.run(read())
    assert entered.lines == lines


# -- many lines -------------------------------------------------------------------------------------------------------


async def test_many_lines_are_entered_in_parts_and_calls_have_their_turn_between_them(folder, entered):
    turns = 0
    parts: list[tuple[int, int]] = []

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def enter(lines: Sequence[bytes]) -> list[Future[None]]:
        parts.append((len(lines), turns))
        return await entered.enter(lines)

    lines = [str(number) for number in range(1000)]
    for text in (lines[:600], lines[600:]):
        append_text(folder, "".join(f"{line}\n" for line in text))
        folder.replace()  # the content of an earlier file is also entered in parts
    reader = module.JournalReader(folder, enter, lambda: True, entered.gaps_s.append)
    ticking = asyncio.create_task(tick())
    async with run_reader(reader):
        await reader.read.wait()
        await wait_until(lambda: is_cleared(folder))
    ticking.cancel()
    assert entered.lines == lines
    assert max(size for size, _ in parts) == module.LINES_AT_ONCE
    assert all(after > before for (_, before), (_, after) in itertools.pairwise(parts[:30]))


async def begun(entered: EnteredLines) -> None:
    """Record each turn of the loop, even on a fast machine."""
    async with asyncio.timeout(60):
        while not entered.lines:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_asks_for_all_lines_waits_for_the_read_that_is_under_way(folder, entered):
    lines = [str(number) for number in range(1000)]
    append_text(folder, "".join(f"{line}\n" for line in lines[:600]))
    reader = entered.reader(folder)
    async with run_reader(reader):
        await begun(entered)
        assert len(entered.lines) < 600
        append_text(folder, "".join(f"{line}\n" for line in lines[600:]))
        await reader.read_all()
        assert entered.lines == lines


async def test_a_reader_that_is_killed_between_two_parts_leaves_all_lines_to_the_next(folder):
    lines = [str(number) for number in range(1000)]
    append_text(folder, "".join(f"{line}\n" for line in lines))
    first, second = EnteredLines(), EnteredLines()
    async with run_reader(first.reader(folder)):
        await begun(first)
    assert len(first.lines) < 1000
    assert folder.read_until() == 0, "a line that was not read must not count as too old"
    async with second.following(folder):
        assert second.lines == lines


# -- when lines are read ----------------------------------------------------------------------------------------------


async def test_inotify_wakes_the_reader_and_watches_the_replacement_file_too(folder, entered, unpolled, monkeypatch):
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 0.0)
    async with entered.following(folder):
        for number in range(5):
            append_text(folder, f"{number}\n")
            await entered.has(number + 1)
    assert entered.lines == list("01234")


@pytest.mark.alone
async def test_a_line_is_entered_within_50_ms(folder, entered):
    found_ms = []
    async with entered.following(folder):
        for number in range(21):
            await asyncio.sleep(0.013 * (number % 4))
            began_s = time.monotonic()
            append_text(folder, f"{number}\n")
            await entered.has(number + 1)
            found_ms.append(1000 * (time.monotonic() - began_s))
    assert statistics.median(found_ms) <= 50, found_ms
    assert max(found_ms) <= 1000 * module.POLL_S, found_ms


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC], ids=["no instance", "no watch"])
async def test_without_inotify_the_folder_is_polled(folder, entered, monkeypatch, quickly, caplog, number):
    """The number of inotify instances or watches has reached the system's limit (fs.inotify.max_user_watches)."""

    def none(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    if number == errno.EMFILE:
        monkeypatch.setattr(module, "INotify", none)
    else:
        monkeypatch.setattr(module.INotify, "add_watch", none)
    async with entered.following(folder):
        append_text(folder, "a\n")
        await entered.has(1)
    assert caplog.messages == [f"inotify cannot be used ({os.strerror(number)}); the journal is read every 0.01 s"]


async def test_the_reader_reports_the_time_since_its_last_read(folder, entered, quickly):
    async with entered.following(folder):
        await entered.looks(4)
    assert entered.gaps_s[0] > 50 * 365 * 86_400  # the time was never saved
    assert 0 <= max(entered.gaps_s[1:]) < 5
    down_s = 3600
    os.utime(folder.directory / module.READ, times=(time.time() - down_s,) * 2)
    later = EnteredLines()
    async with later.following(folder):
        await wait_until(lambda: later.gaps_s and time.time() - folder.read_until() < 60)
    assert down_s - 5 <= later.gaps_s[0] <= down_s + 60


# -- a file is removed ------------------------------------------------------------------------------------------------


async def test_a_line_stays_in_the_file_for_some_seconds_at_most(folder, entered, monkeypatch):
    """A line can contain telephone numbers."""
    monkeypatch.setattr(module, "POLL_S", 0.05)
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 0.4)
    async with entered.following(folder) as reader:
        before_s = reader._replaced_s
        append_text(folder, "a\n")
        await wait_until(lambda: is_cleared(folder))
        assert reader._replaced_s - before_s >= 0.4


async def test_a_large_file_is_replaced_at_once(folder, entered, monkeypatch):
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 600.0)
    monkeypatch.setattr(module, "REPLACE_AT", 100)
    async with entered.following(folder):
        append_text(folder, "x" * 98 + "\n")
        await entered.has(1)
        assert not is_cleared(folder)
        append_text(folder, "\n")
        await wait_until(lambda: is_cleared(folder))


async def test_a_file_stays_until_the_evidence_is_on_the_disk(folder, quickly):
    """A last line without its end is also entered. It was truncated because the disk was full."""
    entered = EnteredLines(on_disk=False)
    async with entered.following(folder):
        append_text(folder, "a\nb")
        await wait_until(lambda: taken_files(folder) and entered.late)
        entered.late[0].set_result(None)
        await wait_until(lambda: len(entered.late) == 2)
        await entered.looks()
        assert [path.read_text() for path in folder.closed_files()] == ["a\nb"]
        entered.late[1].set_result(None)
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b"]


async def test_a_file_stays_while_a_full_disk_keeps_evidence_in_memory(folder, quickly):
    entered = EnteredLines(all_written=False)
    async with entered.following(folder):
        append_text(folder, "a\n")
        await wait_until(lambda: taken_files(folder))
        await entered.looks()
        assert [path.read_text() for path in folder.closed_files()] == ["a\n"]
        entered.all_written = True
        await wait_until(lambda: is_cleared(folder))


async def test_a_file_stays_while_the_hook_has_it_open(folder, entered, quickly):
    async with entered.following(folder):
        append_text(folder, "a\n")
        with folder.path.open("a") as late:
            await wait_until(lambda: taken_files(folder))
            append_text(folder, "b\n")
            await entered.has(2)
            await entered.looks()
            assert len(taken_files(folder)) >= 1
            late.write("c\n")
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c"]


@contextmanager
def writers(folder: JournalFolder, count: int) -> Iterator[list[list[str]]]:
    """Context in which `count` threads write continuously, as the hook does. Yields the lines of each thread."""
    over = threading.Event()
    written: list[list[str]] = [[] for _ in range(count)]

    def write_on(number: int, own: list[str]) -> None:
        while not over.is_set():
            own.append(f"{number}:{len(own)}")
            append_text(folder, f"{own[-1]}\n")
            time.sleep(0.0005)

    threads = [threading.Thread(target=write_on, args=each) for each in enumerate(written)]
    for thread in threads:
        thread.start()
    try:
        yield written
    finally:
        over.set()
        for thread in threads:
            thread.join()


# -- from one reader to the next --------------------------------------------------------------------------------------


async def test_a_file_with_two_names_is_read_once(folder, entered, quickly):
    """The previous reader was killed during the replacement."""
    append_text(folder, "a\n")
    os.link(folder.path, folder.path.with_name("taken-1"))
    append_text(folder, "b\n")
    async with entered.following(folder):
        await wait_until(lambda: is_cleared(folder))
        append_text(folder, "c\n")
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c"]


async def test_a_reader_takes_over_from_another_without_a_gap(folder, quickly):
    """The previous reader has closed its files when the next one begins. Calls write continuously."""
    read: list[str] = []

    async def read_on(writing: bool) -> None:
        entered = EnteredLines()
        async with entered.following(folder):
            await wait_until(lambda: len(entered.lines) > 20 if writing else is_cleared(folder))
        before = set(read)
        again = [line for line in entered.lines if line in before]
        assert entered.lines[: len(again)] == again
        read.extend(entered.lines[len(again) :])

    with writers(folder, 3) as written:
        for _ in range(7):
            await read_on(writing=True)
    await read_on(writing=False)
    for number, own in enumerate(written):
        assert [line for line in read if line.startswith(f"{number}:")] == own


async def test_a_file_that_another_reader_removed_meanwhile_is_no_error(folder, entered, monkeypatch):
    append_text(folder, "a\n")
    there = JournalFolder.closed_files
    monkeypatch.setattr(JournalFolder, "closed_files", lambda self: [*there(self), self.directory / "taken-gone"])
    async with entered.following(folder):
        assert entered.lines == ["a"]


async def test_files_that_another_reader_replaces_meanwhile_are_read_in_order(folder, entered, quickly, monkeypatch):
    listed = JournalFolder.closed_files
    lines = ["a"]

    def closed_files(self: JournalFolder) -> list[Path]:
        """List the files, and then let the other reader replace the hook's file twice."""
        files = listed(self)
        for line in ("b", "c") if len(lines) < 3 else ():
            self.replace()
            append_text(self, f"{line}\n")
            lines.append(line)
        return files

    append_text(folder, "a\n")
    monkeypatch.setattr(JournalFolder, "closed_files", closed_files)
    async with entered.following(folder):
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == lines == ["a", "b", "c"]


async def test_two_readers_at_once_lose_nothing(folder, quickly):
    first, second = EnteredLines(), EnteredLines()
    async with first.following(folder), second.following(folder):
        for number in range(100):
            append_text(folder, f"{number}\n")
            await asyncio.sleep(0.0005)
        await wait_until(lambda: is_cleared(folder))
    assert {*first.lines, *second.lines} == {str(number) for number in range(100)}
    for entered in (first, second):
        assert sorted(set(entered.lines), key=int) == entered.lines


# -- errors -----------------------------------------------------------------------------------------------------------


def take_away(folder: JournalFolder, something_comes_in_the_way: bool) -> None:
    """Rename the folder in one step, because a thread of the reader may create it again meanwhile."""
    while True:
        gone = folder.directory.rename(folder.directory.with_name("gone"))
        shutil.rmtree(gone)
        if not something_comes_in_the_way:
            return
        with suppress(IsADirectoryError):
            folder.directory.write_text("in the way")
            return


async def test_a_folder_that_cannot_be_used_is_logged_once_and_made_again(folder, entered, quickly, caplog):
    """The folder is unusable at the start, while the journal is read, and after the journal has been deleted."""
    shutil.rmtree(folder.directory)
    folder.directory.write_text("in the way")
    async with run_reader(entered.reader(folder)):
        for number, in_the_way in enumerate((True, True, False), 1):
            if in_the_way:
                await wait_until(
                    lambda: any("the journal cannot be used: File exists" in each for each in caplog.messages)
                )
                await asyncio.sleep(0.1)
                folder.directory.unlink()
                # The reader may have read between the removal and the new file, and then logs other messages.
                messages = list(caplog.messages)
                assert all(each.startswith(f"the journal cannot be read: {folder.directory}: ") for each in messages)
                assert len(set(messages)) == len(messages)
            await wait_until(folder.path.exists)
            append_text(folder, f"{number}\n")
            await entered.has(number)
            await asyncio.sleep(0.05)  # so that the message of the throttle has arrived
            caplog.clear()
            take_away(folder, number == 1)
    assert entered.lines == ["1", "2", "3"]


async def test_lines_that_cannot_be_entered_yet_are_tried_again(folder, entered, quickly, caplog):
    """While the ledger cannot be read, it cannot show which calls have ended."""
    tries: list[Sequence[bytes]] = []

    async def enter(lines: Sequence[bytes]) -> list[Future[None]]:
        tries.append(lines)
        if len(tries) < 4:
            raise JournalError("the ledger cannot say which calls have ended")
        return await entered.enter(lines)

    reader = module.JournalReader(folder, enter, lambda: True, entered.gaps_s.append)
    append_text(folder, "a\nb\nc")
    async with run_reader(reader):
        await wait_until(lambda: len(tries) >= 3)
        append_text(folder, "\nd\n")
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c", "d"]
    assert [message.count("the ledger cannot say which calls have ended") for message in caplog.messages] == [1]


async def test_a_read_that_fails_half_way_loses_no_line(folder, entered, monkeypatch):
    """The disk has errors: the first part of the file is readable, and the next part is not."""
    lines = [f"{number:04}" for number in range(PART // 4)]  # more than one part
    append_text(folder, "".join(f"{line}\n" for line in lines))
    read = os.read
    reads: list[int] = []

    def broken(descriptor: int, length: int) -> bytes:
        if length == PART:  # inotify also causes reads
            reads.append(descriptor)
        if len(reads) == 2:
            reads.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, length)

    monkeypatch.setattr(os, "read", broken)
    async with run_reader(entered.reader(folder)):
        await entered.has(len(lines))
    assert entered.lines == lines
    assert len(reads) > 2


async def test_the_time_is_saved_up_to_which_all_evidence_is_on_the_disk(folder, entered, quickly):
    """Later lines are read again after a kill. The service would refuse lines from before the saved time."""
    assert folder.read_until() == 0
    began_s = time.time()
    async with entered.following(folder):
        await wait_until(lambda: folder.read_until() > began_s + 0.05)
        assert folder.read_until() <= time.time()
        assert mode(folder.directory / module.READ) == 0o600
        entered.on_disk = False
        append_text(folder, "a\n")
        await entered.has(1)
        before_s = folder.read_until()
        await entered.looks()
        assert folder.read_until() == before_s
        entered.late[0].set_result(None)
        await wait_until(lambda: folder.read_until() > before_s)
        entered.all_written = False
        append_text(folder, "b\n")
        await entered.has(2)
        before_s = folder.read_until()
        await entered.looks()
        assert folder.read_until() == before_s


async def test_the_time_is_saved_even_if_some_evidence_is_always_unwritten(folder, entered, quickly):
    entered.on_disk = False
    async with entered.following(folder):
        for number in range(50):
            append_text(folder, f"{number}\n")
            await wait_until(lambda number=number: len(entered.late) == number + 1)
            if number:
                entered.late[number - 1].set_result(None)
            if number == 25:
                half_s = time.time()
        assert folder.read_until() > half_s
        assert not entered.late[-1].done()
