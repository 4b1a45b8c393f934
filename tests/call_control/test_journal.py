"""The files of the journal: each line is read once, and removed when its evidence is on the disk."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from stat import S_IMODE
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.call_control import journal as module
from idtone.call_control.journal import FILE_MODE, FOLDER_MODE, JournalFolder, is_quiet
from idtone.errors import JournalError

from .reading import Entered, following, is_cleared, taken, until, write
from .users import ASTERISK_GROUP, SERVICE_GROUP, SERVICE_USER, acting_as, needs_root, shared_folder

OTHER_GROUP = 54_324


def made(place: Path) -> JournalFolder:
    (place / "sounds").mkdir()
    folder = JournalFolder(place / "sounds" / "journal", place / "sounds")
    folder.make()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> JournalFolder:
    return made(tmp_path)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader replaces and checks files all the time."""
    for name, seconds in {"POLL_S": 0.01, "GATHER_S": 0.0, "REPLACE_EVERY_S": 0.01, "SAVE_EVERY_S": 0.0}.items():
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
def without_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "INotify", none)


def mode(path: Path) -> int:
    return S_IMODE(path.stat().st_mode)


# -- who may write and read -------------------------------------------------------------------------------------------


def test_asterisk_can_write_but_not_read_and_other_users_can_do_neither(folder):
    assert (mode(folder.directory), mode(folder.path)) == (0o710, 0o620) == (FOLDER_MODE, FILE_MODE)
    write(folder, "a\n")
    folder.replace()
    assert mode(folder.path) == 0o620
    assert [path.stat().st_mode & 0o007 for path in folder.directory.iterdir()] == [0, 0]


def test_the_folder_and_its_file_are_made_once(folder):
    write(folder, "a\n")
    before = folder.path.stat()
    folder.make()
    assert folder.path.stat() == before
    assert list(folder.directory.iterdir()) == [folder.path]


@pytest.mark.parametrize("wrong", [0o755, 0o700, 0o2770, 0o777])
def test_a_wrong_mode_of_the_folder_is_corrected(folder, wrong):
    folder.directory.chmod(wrong)
    folder.make()
    assert mode(folder.directory) & 0o777 == 0o710


@needs_root
@pytest.mark.parametrize("sticky", [0, 0o2000])
@pytest.mark.parametrize("there", [False, True])
def test_the_group_is_that_of_the_sounds(tmp_path, sticky, there):
    """Even in a folder that an operator made with g+s for another group."""
    sounds, directory = tmp_path / "sounds", tmp_path / "var" / "journal"
    sounds.mkdir()
    os.chown(sounds, -1, ASTERISK_GROUP)
    directory.parent.mkdir()
    for place in (directory.parent, directory) if there else (directory.parent,):
        place.mkdir(exist_ok=True)
        os.chown(place, -1, OTHER_GROUP)
        place.chmod(0o770 | sticky)
    folder = JournalFolder(directory, sounds)
    folder.make()
    write(folder, "a\n")
    folder.replace()
    folder.make()
    for path in (directory, folder.path, directory / taken(folder)[0]):
        assert path.stat().st_gid == ASTERISK_GROUP, path
    assert (mode(directory) & 0o777, mode(folder.path)) == (0o710, 0o620)


@needs_root
def test_a_later_change_of_the_sounds_group_changes_the_files_group(folder):
    write(folder, "a\n")
    os.chown(folder.directory.parent, -1, ASTERISK_GROUP)
    folder.make()
    assert folder.path.stat().st_gid == ASTERISK_GROUP
    folder.replace()
    assert folder.path.stat().st_gid == folder.directory.stat().st_gid == ASTERISK_GROUP


@needs_root
def test_a_service_outside_asterisks_group_uses_a_folder_that_hands_its_group_on():
    with shared_folder() as sounds:
        folder = JournalFolder(sounds / "journal", sounds)
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            for _ in range(2):
                folder.make()
                write(folder, "a\n")
                folder.replace()
        for path in (folder.directory, folder.path):
            assert (path.stat().st_uid, path.stat().st_gid) == (SERVICE_USER, ASTERISK_GROUP)
        assert (mode(folder.directory) & 0o777, mode(folder.path)) == (0o710, 0o620)
        with acting_as(SERVICE_USER + 100, ASTERISK_GROUP):
            write(folder, "b\n")
            with pytest.raises(PermissionError):
                folder.path.read_bytes()
            with pytest.raises(PermissionError):
                list(folder.directory.iterdir())
            with pytest.raises(PermissionError):
                folder.path.unlink()
        with acting_as(SERVICE_USER + 100, SERVICE_GROUP), pytest.raises(PermissionError):
            write(folder, "c\n")


@pytest.mark.parametrize("act", [JournalFolder.make, JournalFolder.replace])
def test_a_folder_that_cannot_be_used_is_an_error_with_its_remedy(tmp_path, act):
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalError, match="make the user that runs idtone the owner of this folder"):
        act(JournalFolder(tmp_path / "journal", tmp_path))


# -- a file is replaced -----------------------------------------------------------------------------------------------


def test_a_file_with_lines_is_replaced_by_an_empty_one(folder):
    folder.replace()
    assert taken(folder) == []
    for text in ("a\n", "b\n"):
        write(folder, text)
        folder.replace()
    assert [path.read_text() for path in folder.taken()] == ["a\n", "b\n"]
    assert folder.path.read_text() == ""


def test_a_replacement_that_was_killed_half_way_is_completed(folder, monkeypatch):
    """The old file has two names, and the hook still writes to it."""
    write(folder, "a\n")
    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", killing)
        with pytest.raises(Killed):
            folder.replace()
    assert (len(taken(folder)), folder.path.read_text()) == (1, "a\n")
    write(folder, "b\n")
    folder.make()
    folder.replace()
    assert [path.read_text() for path in folder.taken()] == ["a\nb\n"]
    assert [path.name for path in folder.directory.iterdir() if path.name.startswith(".")] == []


class Killed(BaseException):
    pass


def killing(*_: object, **__: object) -> NoReturn:
    raise Killed


@pytest.mark.parametrize("function", ["link", "replace", "fchmod"])
def test_a_failure_leaves_the_file_where_it_is(folder, monkeypatch, function):
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    write(folder, "a\n")
    with monkeypatch.context() as failing:
        failing.setattr(os, function, full)
        with pytest.raises(JournalError, match="No space left on device"):
            folder.replace()
    write(folder, "b\n")
    folder.replace()
    assert [path.read_text() for path in folder.taken()] == ["a\nb\n"]


def test_instances_that_replace_it_at_once_lose_nothing(folder):
    """Each instance locks the folder while it replaces the file."""
    others = [JournalFolder(folder.directory, folder.directory.parent) for _ in range(4)]
    names = [f"{number}\n" for number in range(200)]

    def replace_often(each: JournalFolder) -> None:
        while not over.is_set():
            each.make()
            each.replace()

    over = threading.Event()
    threads = [threading.Thread(target=replace_often, args=(each,)) for each in others]
    for thread in threads:
        thread.start()
    for name in names:
        write(folder, name)
        time.sleep(0.0005)
    over.set()
    for thread in threads:
        thread.join()
    text = "".join(path.read_text() for path in (*folder.taken(), folder.path))
    assert text == "".join(names)


# -- a file is quiet --------------------------------------------------------------------------------------------------


def test_a_file_is_quiet_if_no_process_has_it_open_for_writing(folder):
    write(folder, "a\n")
    with folder.path.open("rb") as reading, folder.path.open("rb"):
        for flags in (os.O_WRONLY | os.O_APPEND, os.O_RDWR):
            descriptors = [os.open(folder.path, flags) for _ in range(2)]
            for descriptor in descriptors:
                assert not is_quiet(reading.fileno())
                os.close(descriptor)
            assert is_quiet(reading.fileno())
        write(folder, "b\n")
        assert is_quiet(reading.fileno())


@needs_root
def test_if_the_kernel_cannot_say_a_file_is_quiet_after_some_time(folder):
    """The kernel cannot say it for another user's file."""
    with folder.path.open("rb") as reading, acting_as(SERVICE_USER, SERVICE_GROUP):
        descriptor = reading.fileno()
        os.seteuid(0)
        os.utime(folder.path)
        os.seteuid(SERVICE_USER)
        assert not is_quiet(descriptor)
        os.seteuid(0)
        os.utime(folder.path, (0, time.time() - module.QUIET_S - 1))
        os.seteuid(SERVICE_USER)
        assert is_quiet(descriptor)


# -- refused lines ----------------------------------------------------------------------------------------------------


def test_refused_lines_are_kept_up_to_a_limit(folder, monkeypatch):
    monkeypatch.setattr(module, "MOST_REFUSED_BYTES", 100)
    for _ in range(50):
        folder.refuse(["decided,0", "x"])
    refused = folder.directory / "refused"
    assert refused.read_text() == "decided,0\nx\n" * 9
    assert mode(refused) == 0o600


# -- lines are read ---------------------------------------------------------------------------------------------------


async def test_existing_and_new_lines_are_read(folder):
    write(folder, "a\nb\n")
    entered = Entered()
    reader = entered.reader(folder)
    assert not reader.read.is_set()
    async with following(reader):
        await reader.read.wait()
        assert entered.lines == ["a", "b"]
        for number in range(5):
            write(folder, f"{number}\n{number}x\n")
            await until(lambda number=number: len(entered.lines) == 4 + 2 * number)
    assert entered.lines == ["a", "b", *(f"{number}{end}" for number in range(5) for end in ("", "x"))]


async def test_files_that_were_taken_are_read_before_the_one_that_the_hook_writes_to(folder):
    for text in ("a\n", "b\n"):
        write(folder, text)
        folder.replace()
    write(folder, "c\n")
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: len(entered.lines) == 3)
    assert entered.lines == ["a", "b", "c"]


async def test_a_line_is_entered_when_its_end_is_written(folder):
    entered = Entered()
    reader = entered.reader(folder)
    async with following(reader):
        await reader.read.wait()
        for text, lines in (("a", 0), ("b", 0), ("c\nd", 1), ("\n", 2), ("\n\n", 4), ("e", 4)):
            write(folder, text)
            reader.read_new_lines()
            assert len(entered.lines) == lines
    assert entered.lines == ["abc", "d", "", ""]


async def test_a_direct_read_needs_neither_inotify_nor_a_poll(folder, monkeypatch, without_inotify):
    monkeypatch.setattr(module, "POLL_S", 60.0)
    entered = Entered()
    reader = entered.reader(folder)
    async with following(reader):
        await reader.read.wait()
        write(folder, "a\n")
        reader.read_new_lines()
        assert entered.lines == ["a"]


@pytest.mark.parametrize("length", [2047, 4096, module.PART - 1, module.PART, module.PART + 1])
async def test_long_lines(folder, length):
    lines = [character * length for character in "abcdefgh"]
    entered = Entered()
    async with following(entered.reader(folder)):
        for line in lines:
            write(folder, f"{line}\n")
        await until(lambda: len("".join(entered.lines)) == length * len(lines))
    assert "".join(entered.lines) == "".join(lines)
    if length < module.PART:
        assert entered.lines == lines


async def test_a_line_without_an_end_does_not_fill_the_memory(folder):
    entered = Entered()
    reader = entered.reader(folder)
    async with following(reader):
        await reader.read.wait()
        for _ in range(3):
            write(folder, "x" * (module.PART + 1))
            reader.read_new_lines()
        write(folder, "\na\n")
        reader.read_new_lines()
    assert entered.lines[-1] == "a"
    assert len(entered.lines) >= 3
    assert max(map(len, entered.lines)) <= 2 * module.PART


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=30), max_size=20),
    st.lists(st.integers(0, 400), max_size=20),
    st.integers(1, 9),
)
def test_any_lines_in_any_parts(tmp_path_factory, lines, cuts, part):
    folder = made(tmp_path_factory.mktemp("journal"))
    text = "".join(f"{line}\n" for line in lines)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    entered = Entered()

    async def read() -> None:
        reader = entered.reader(folder)
        async with following(reader):
            await reader.read.wait()
            for start, end in itertools.pairwise(places):
                write(folder, text[start:end])
                reader.read_new_lines()

    with pytest.MonkeyPatch.context() as patch:
        # A rest that is longer than a part counts as a separate line.
        patch.setattr(module, "PART", 32 + part)
        asyncio.run(read())
    assert entered.lines == lines


# -- when lines are read ----------------------------------------------------------------------------------------------


async def test_inotify_wakes_the_reader(folder, monkeypatch):
    """Without inotify the next read would come after a minute."""
    monkeypatch.setattr(module, "POLL_S", 60.0)
    entered = Entered()
    reader = entered.reader(folder)
    async with following(reader):
        await reader.read.wait()
        for number in range(3):
            write(folder, f"{number}\n")
            await until(lambda number=number: len(entered.lines) == number + 1)


async def test_inotify_also_watches_the_replacement_file(folder, monkeypatch):
    monkeypatch.setattr(module, "POLL_S", 60.0)
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 0.0)
    entered = Entered()
    reader = entered.reader(folder)
    async with following(reader):
        await reader.read.wait()
        for number in range(5):
            write(folder, f"{number}\n")
            await until(lambda number=number: len(entered.lines) == number + 1)
    assert entered.lines == list("01234")


@pytest.mark.alone
async def test_a_line_is_entered_within_50_ms(folder):
    entered = Entered()
    reader = entered.reader(folder)
    delays_ms: list[float] = []
    async with following(reader):
        await reader.read.wait()
        for number in range(21):
            await asyncio.sleep(0.013 * (number % 4))
            began_s = time.monotonic()
            write(folder, f"{number}\n")
            await until(lambda number=number: len(entered.lines) == number + 1)
            delays_ms.append(1000 * (time.monotonic() - began_s))
    assert statistics.median(delays_ms) <= 50, delays_ms
    assert max(delays_ms) <= 1000 * module.POLL_S, delays_ms


@pytest.mark.alone
async def test_without_inotify_a_line_is_entered_at_the_next_poll(folder, without_inotify, caplog):
    entered = Entered()
    reader = entered.reader(folder)
    delays_ms: list[float] = []
    async with following(reader):
        await reader.read.wait()
        for number in range(5):
            await asyncio.sleep(0.07 * number)
            began_s = time.monotonic()
            write(folder, f"{number}\n")
            await until(lambda number=number: len(entered.lines) == number + 1)
            delays_ms.append(1000 * (time.monotonic() - began_s))
    assert max(delays_ms) <= 1000 * module.POLL_S + 50, delays_ms
    assert caplog.messages == ["inotify cannot be used (Too many open files); the journal is read every 0.5 s"]


async def test_without_a_watch_on_the_folder_it_is_polled(folder, monkeypatch, quickly):
    """The number of inotify watches has reached the system's limit (fs.inotify.max_user_watches)."""

    def none(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.INotify, "add_watch", none)
    entered = Entered()
    async with following(entered.reader(folder)):
        write(folder, "a\n")
        await until(lambda: entered.lines == ["a"])


async def test_the_reader_reports_the_time_since_its_last_read(folder, quickly):
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: len(entered.gaps_s) > 3)
    assert entered.gaps_s[0] > 50 * 365 * 86_400  # it was never saved
    assert 0 <= max(entered.gaps_s[1:]) < 5
    down_s = 3600
    os.utime(folder.directory / module.READ, times=(time.time() - down_s,) * 2)
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: entered.gaps_s)
        await until(lambda: time.time() - folder.read_until() < 60)
    assert down_s - 5 <= entered.gaps_s[0] <= down_s + 60


# -- a file is removed ------------------------------------------------------------------------------------------------


async def test_a_file_is_removed_when_its_evidence_is_on_the_disk(folder, quickly):
    entered = Entered()
    async with following(entered.reader(folder)):
        for number in range(10):
            write(folder, f"{number}\n")
            await until(lambda: is_cleared(folder))
    assert entered.lines == list("0123456789")


async def test_a_line_stays_in_the_file_for_some_seconds_at_most(folder, monkeypatch):
    """A line can hold telephone numbers."""
    monkeypatch.setattr(module, "POLL_S", 0.05)
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 0.4)
    entered = Entered()
    async with following(entered.reader(folder)):
        began_s = time.monotonic()
        write(folder, "a\n")
        await until(lambda: is_cleared(folder))
        assert 0.3 <= time.monotonic() - began_s < 5


async def test_a_large_file_is_replaced_at_once(folder, monkeypatch):
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 600.0)
    monkeypatch.setattr(module, "REPLACE_AT", 100)
    entered = Entered()
    async with following(entered.reader(folder)):
        write(folder, "x" * 98 + "\n")
        await until(lambda: entered.lines)
        assert not is_cleared(folder)
        write(folder, "\n")
        await until(lambda: is_cleared(folder))


async def looks(entered: Entered, many: int = 10) -> None:
    """Wait until the reader has read so often."""
    before = len(entered.gaps_s)
    await until(lambda: len(entered.gaps_s) >= before + many)


async def test_a_file_stays_until_the_evidence_is_on_the_disk(folder, quickly):
    entered = Entered(on_disk=False)
    async with following(entered.reader(folder)):
        write(folder, "a\nb\n")
        await until(lambda: taken(folder))
        entered.late[0].set_result(None)
        await looks(entered)
        assert [path.read_text() for path in folder.taken()] == ["a\nb\n"]
        entered.late[1].set_result(None)
        await until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b"]


async def test_a_file_stays_while_a_full_disk_keeps_evidence_in_memory(folder, quickly):
    entered = Entered(all_written=False)
    async with following(entered.reader(folder)):
        write(folder, "a\n")
        await until(lambda: taken(folder))
        await looks(entered)
        assert [path.read_text() for path in folder.taken()] == ["a\n"]
        entered.all_written = True
        await until(lambda: is_cleared(folder))


async def test_a_file_stays_while_the_hook_has_it_open(folder, quickly):
    entered = Entered()
    async with following(entered.reader(folder)):
        write(folder, "a\n")
        with folder.path.open("a") as late:
            await until(lambda: taken(folder))
            write(folder, "b\n")
            await until(lambda: len(entered.lines) == 2)
            await looks(entered)
            assert len(taken(folder)) >= 1
            late.write("c\n")
        await until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c"]


async def test_a_last_line_without_its_end_is_entered_before_its_file_is_removed(folder, quickly):
    """The disk was full."""
    entered = Entered(on_disk=False)
    async with following(entered.reader(folder)):
        write(folder, "a\nb")
        await until(lambda: entered.late)
        entered.late[0].set_result(None)
        await until(lambda: len(entered.late) == 2)
        await looks(entered)
        assert [path.read_text() for path in folder.taken()] == ["a\nb"]
        entered.late[1].set_result(None)
        await until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b"]


async def test_many_writers_lose_nothing_while_files_are_replaced(folder, quickly):
    writers, each = 4, 150

    def write_all(writer: int) -> None:
        for number in range(each):
            write(folder, f"{writer}:{number}\n")
            time.sleep(0.0005)

    threads = [threading.Thread(target=write_all, args=(writer,)) for writer in range(writers)]
    entered = Entered()
    async with following(entered.reader(folder)):
        for thread in threads:
            thread.start()
        await until(lambda: is_cleared(folder) and not any(map(threading.Thread.is_alive, threads)), 30)
    for writer in range(writers):
        own = [line for line in entered.lines if line.startswith(f"{writer}:")]
        assert own == [f"{writer}:{number}" for number in range(each)]


# -- from one reader to the next --------------------------------------------------------------------------------------


async def test_the_next_reader_reads_what_was_not_removed(folder):
    write(folder, "a\n")
    for _ in range(2):
        entered = Entered()
        async with following(entered.reader(folder)):
            await until(lambda entered=entered: entered.lines == ["a"])


async def test_a_file_with_two_names_is_read_once(folder, quickly):
    """The previous reader was killed during the replacement."""
    write(folder, "a\n")
    os.link(folder.path, folder.path.with_name("taken-1"))
    write(folder, "b\n")
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: is_cleared(folder))
        write(folder, "c\n")
        await until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c"]


async def test_a_reader_takes_over_from_another_without_a_gap(folder, quickly):
    """The previous reader has closed its files when the next one begins; the hook writes all the time."""
    over = threading.Event()
    written: list[str] = []

    def write_on() -> None:
        while not over.is_set():
            written.append(f"{len(written)}")
            write(folder, f"{written[-1]}\n")
            time.sleep(0.0005)

    thread = threading.Thread(target=write_on)
    thread.start()
    read: list[str] = []
    for number in range(8):
        entered = Entered()
        async with following(entered.reader(folder)):
            await until(lambda entered=entered: len(entered.lines) > 20)
            if number == 7:
                over.set()
                thread.join()
                await until(lambda: is_cleared(folder))
        again = [line for line in entered.lines if line in set(read)]
        assert entered.lines[: len(again)] == again
        read += entered.lines[len(again) :]
    assert read == written


async def test_two_readers_at_once_lose_nothing(folder, quickly):
    first, second = Entered(), Entered()
    async with following(first.reader(folder)), following(second.reader(folder)):
        for number in range(200):
            write(folder, f"{number}\n")
            await asyncio.sleep(0.0005)
        await until(lambda: is_cleared(folder))
    read = {*first.lines, *second.lines}
    assert read == {str(number) for number in range(200)}
    for entered in (first, second):
        assert sorted(set(entered.lines), key=int) == entered.lines


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_a_deleted_folder_is_made_again(folder, quickly):
    entered = Entered()
    async with following(entered.reader(folder)):
        write(folder, "a\n")
        await until(lambda: entered.lines == ["a"])
        shutil.rmtree(folder.directory)
        await until(folder.path.exists)
        write(folder, "b\n")
        await until(lambda: entered.lines == ["a", "b"])


async def test_a_folder_that_cannot_be_used_is_logged_once_and_tried_again(folder, quickly, caplog):
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: entered.gaps_s)
        shutil.rmtree(folder.directory)
        folder.directory.write_text("in the way")
        await until(lambda: caplog.messages)
        await asyncio.sleep(0.1)
        folder.directory.unlink()
        await until(folder.path.exists)
        write(folder, "a\n")
        await until(lambda: entered.lines == ["a"])
    (message,) = caplog.messages
    assert message.startswith(f"the journal cannot be read: {folder.directory}: the journal cannot be used: ")


async def test_a_folder_that_cannot_be_used_at_the_start_is_tried_again(folder, quickly, caplog):
    shutil.rmtree(folder.directory)
    folder.directory.write_text("in the way")
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(lambda: caplog.messages)
        folder.directory.unlink()
        await until(folder.path.exists)
        write(folder, "a\n")
        await until(lambda: entered.lines == ["a"])


async def test_lines_that_cannot_be_entered_yet_are_tried_again(folder, quickly, caplog):
    """The ledger cannot be read, so it cannot say which calls have ended."""
    entered = Entered()
    tries: list[Sequence[bytes]] = []

    def enter(lines: Sequence[bytes]) -> list[Future[None]]:
        tries.append(lines)
        if len(tries) < 4:
            raise JournalError("the ledger cannot say which calls have ended")
        return entered.enter(lines)

    reader = module.JournalReader(folder, enter, lambda: True, entered.gaps_s.append)
    write(folder, "a\nb\nc")
    async with following(reader):
        await until(lambda: len(tries) >= 3)
        write(folder, "\nd\n")
        await until(lambda: is_cleared(folder))
    assert entered.lines == ["a", "b", "c", "d"]
    assert [message.count("the ledger cannot say which calls have ended") for message in caplog.messages] == [1]


async def test_a_read_that_fails_half_way_loses_no_line(folder, monkeypatch):
    """As on a disk with errors: the first part was read, the next one cannot be."""
    lines = [f"{number:04}" for number in range(module.PART // 4)]  # more than one part
    write(folder, "".join(f"{line}\n" for line in lines))
    entered, read = Entered(), os.read
    reads: list[int] = []

    def broken(descriptor: int, length: int) -> bytes:
        if length == module.PART:  # inotify reads too
            reads.append(descriptor)
        if len(reads) == 2:
            reads.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, length)

    monkeypatch.setattr(module.os, "read", broken)
    async with following(entered.reader(folder)):
        await until(lambda: len(entered.lines) == len(lines))
    assert entered.lines == lines
    assert len(reads) > 2


async def test_the_time_up_to_which_all_lines_were_read_is_saved(folder, quickly):
    assert folder.read_until() == 0
    entered = Entered()
    began_s = time.time()
    async with following(entered.reader(folder)):
        await until(lambda: folder.read_until() > began_s + 0.05)
    assert folder.read_until() <= time.time()
    assert mode(folder.directory / module.READ) == 0o600


async def test_the_time_is_not_saved_for_lines_whose_evidence_is_not_on_the_disk(folder, quickly):
    """After a kill they are read again. They would be refused if the saved time were later than theirs."""
    entered = Entered()
    async with following(entered.reader(folder)):
        await until(folder.read_until)
        entered.on_disk = False
        write(folder, "a\n")
        await until(lambda: entered.lines)
        before_s = folder.read_until()
        await looks(entered)
        assert folder.read_until() == before_s
        entered.late[0].set_result(None)
        await until(lambda: folder.read_until() > before_s)
        entered.all_written = False
        write(folder, "b\n")
        await until(lambda: len(entered.lines) == 2)
        before_s = folder.read_until()
        await looks(entered)
        assert folder.read_until() == before_s


async def test_the_time_is_saved_even_if_some_evidence_is_always_unwritten(folder, quickly):
    entered = Entered(on_disk=False)
    reader = entered.reader(folder)
    async with following(reader):
        for number in range(100):
            write(folder, f"{number}\n")
            await until(lambda number=number: len(entered.late) == number + 1)
            if number:
                entered.late[number - 1].set_result(None)
            if number == 50:
                half_s = time.time()
        assert folder.read_until() > half_s
        assert not entered.late[-1].done()
