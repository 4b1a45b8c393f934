"""Processes that keep the journal's files open.

No line is kept on the disk, and the reader soon closes its descriptors.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from idtone.call_control import journal_reader as module
from idtone.call_control.journal_reader import JournalFolder
from lab.call_control.journal_helpers import EnteredLines, append_text, is_cleared, new_journal, taken_files, wait_until
from lab.call_control.unix_users import (
    ASTERISK_GROUP,
    SERVICE_GROUP,
    SERVICE_USER,
    acting_as,
    needs_root,
    shared_folder,
)
from lab.nightly_tests import rest_at_night

HOLDING = 'echo holds; while :; do exec {held}>>"$1" || :; sleep 0.05; done'
"""A bash program that opens the journal's file repeatedly and never closes it. Any user could run it."""


@contextmanager
def held_open(folder: JournalFolder, count: int) -> Iterator[list[int]]:
    """Context in which processes of another user in Asterisk's group keep the files open. Yields their ids."""
    command = ["bash", "-c", HOLDING, "holding", str(folder.path)]
    holding = [
        subprocess.Popen(
            command,
            user=SERVICE_USER + 100,
            group=ASTERISK_GROUP,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        for _ in range(count)
    ]
    try:
        for each in holding:
            assert each.stdout
            assert each.stdout.readline() == b"holds\n"
        yield [each.pid for each in holding]
    finally:
        for each in holding:
            each.kill()
            each.communicate()


@pytest.fixture
def shared() -> Iterator[JournalFolder]:
    with shared_folder() as sounds:
        folder = JournalFolder(sounds / "journal", sounds)
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            folder.make()
        yield folder


def held(pids: list[int]) -> list[tuple[str, int]]:
    """Name and size of each file of the journal that these processes have open."""
    found = []
    for pid in pids:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(each)
            if "/journal/" in target:
                found.append((target.rpartition("/")[2], each.stat().st_size))
    return found


@needs_root
@rest_at_night("holders", [5, 1])
async def test_a_process_that_keeps_the_files_open_keeps_no_line(shared, quickly, monkeypatch, caplog, holders):
    monkeypatch.setattr(module, "HELD_S", 0.5)
    monkeypatch.setattr(module, "REPLACE_EVERY_S", 0.05)
    monkeypatch.setattr(module, "MOST_FILES", 6)
    entered = EnteredLines()
    with held_open(shared, holders) as pids:
        before = len(os.listdir("/proc/self/fd"))
        most = 0
        async with entered.following(shared) as reader:
            reader._held._window_s = 600.0  # however long this takes
            for number in range(200):
                append_text(shared, f"decided,0312345678,{number}\n")
                await asyncio.sleep(0.01)
                most = max(most, len(os.listdir("/proc/self/fd")))
            await wait_until(lambda: len(taken_files(shared)) > 0 or is_cleared(shared))
            await wait_until(lambda: is_cleared(shared), 30)
            assert reader.held_files > 5
        assert len([name for name, _ in held(pids)]) > 5 * holders, "they still have them open"
        assert sum(size for _, size in held(pids)) == 0, "and nothing is in them"
    assert entered.lines == [f"decided,0312345678,{number}" for number in range(200)]
    assert most - before <= module.MOST_FILES + 8, "of the reader itself, inotify and a listing"
    (message, *_) = [each for each in caplog.messages if "lsof +L1" in each]
    assert message.startswith("a process kept an old file of the journal open for more than 0.5 s")
    assert len([each for each in caplog.messages if "lsof +L1" in each]) == 1, "the throttle counts the others"


async def test_what_is_written_to_a_held_file_counts_until_its_time_is_over(tmp_path, quickly, monkeypatch):
    """The process writes continuously, so that at every moment some evidence has not reached the disk."""
    monkeypatch.setattr(module, "HELD_S", 0.3)
    folder, entered = new_journal(tmp_path), EnteredLines(on_disk=False)
    async with entered.following(folder) as reader:
        with folder.path.open("a", buffering=1) as late:
            append_text(folder, "first\n")
            await wait_until(lambda: len(reader._files) == 2)
            file = reader._files[0]
            written = 0
            while not file.given_up:
                late.write(f"{written}\n")
                written += 1
                for each in entered.late[:-1]:
                    each.done() or each.set_result(None)
                await asyncio.sleep(0.005)
            last = len(entered.lines)
            late.write("too late\n")
            assert (folder.directory / taken_files(folder)[0]).read_text().startswith("first\n0\n"), (
                "evidence is missing"
            )
            for each in entered.late:
                each.done() or each.set_result(None)
            await wait_until(lambda: is_cleared(folder))
            assert os.fstat(late.fileno()).st_size == 0
    assert entered.lines == ["first", *map(str, range(written))][:last]
    assert last >= written


async def test_files_that_wait_for_the_ledger_cost_no_more_than_so_many_descriptors(tmp_path, quickly, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 4)
    folder, entered = new_journal(tmp_path), EnteredLines(all_written=False)
    async with entered.following(folder):
        for number in range(40):
            append_text(folder, f"{number}\n")
            await entered.looks(2)
        assert len(taken_files(folder)) == 4
        entered.all_written = True
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == [str(number) for number in range(40)]


async def test_a_second_name_of_a_file_keeps_no_line(tmp_path, quickly):
    folder, entered = new_journal(tmp_path), EnteredLines()
    os.link(folder.path, tmp_path / "kept")
    async with entered.following(folder):
        append_text(folder, "a\n")
        await wait_until(lambda: is_cleared(folder))
    assert entered.lines == ["a"]
    assert (tmp_path / "kept").read_text() == ""
