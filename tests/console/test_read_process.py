"""A read in a separate process delays no page, and never outlives its visitor or its time."""

import os
import signal
import threading
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from idtone.console import read_process
from idtone.console.access.password_proof import MIB
from idtone.console.access.passwords import hash_password, is_password
from idtone.console.read_process import ReadEndedError, ReadProcesses
from idtone.core.errors import LedgerError, UsageError
from idtone.core.translation import speak, translated
from lab.console import held_reads
from lab.console.held_reads import Held
from lab.console.site import PASSWORD, READS
from lab.lab import wait_until


def never() -> bool:
    return False


def read(do: Any, *given: Any, **more: Any) -> Any:
    return READS.run(
        do,
        *given,
        **{"is_gone": never, "is_awaited": never, "within_s": 60.0, "nice": 3, "mib": 96, "kind": "test", **more},
    )


def test_a_read_has_the_lowest_claim_on_the_processor_and_on_memory():
    assert read(held_reads.priority) == (min(os.nice(0) + 3, 19), "1000")


def test_an_error_reaches_the_page_with_its_translation():
    with pytest.raises(UsageError) as raised:
        read(held_reads.failing, "x")
    assert str(raised.value) == "x is missing"
    assert copy_context().run(in_japanese, str(raised.value)) == "x がありません"


def in_japanese(text: str) -> str:
    speak("ja")
    return translated(text)


async def test_a_read_ends_with_its_time_and_its_memory_and_when_it_dies(tmp_path: Path):
    used_s = list[float]()
    with pytest.raises(ReadEndedError, match="took longer than 1 s, and was ended"):
        read(held_reads.held, tmp_path, within_s=1.0, tell_used_s=used_s.append)
    await wait_until(lambda: not Held(tmp_path).running(), "the end of the read")
    with pytest.raises(ReadEndedError, match=r"more than 0\.2 s of processor time, and was ended"):
        read(held_reads.busy, processor_s=0.2, tell_used_s=used_s.append)
    assert read(held_reads.priority, processor_s=0.2, tell_used_s=used_s.append), "a read that is fast enough"
    of_clock_s, at_limit_s, fast_s = used_s
    assert (of_clock_s >= 1, at_limit_s, fast_s < 0.2) == (True, 0.2, True)
    with pytest.raises(ReadEndedError, match="more than 96 MiB"):
        read(held_reads.greedy)
    with pytest.raises(LedgerError, match="ended before it was done"):
        read(held_reads.broken)


def test_a_password_for_which_there_is_no_memory_is_no_wrong_one():
    """Before, it counted as a failed sign-in."""
    expected = hash_password(PASSWORD)
    with pytest.raises(ReadEndedError, match="more than 96 MiB"):
        read(is_password, PASSWORD, expected, mib=96, kind="little-memory")
    assert read(is_password, PASSWORD, expected, mib=MIB, kind="password")


async def test_a_read_is_killed_when_its_visitor_has_left(tmp_path: Path):
    left, raised = threading.Event(), list[BaseException]()

    def visit() -> None:
        try:
            read(held_reads.held, tmp_path, is_gone=left.is_set)
        except ConnectionAbortedError as error:
            raised.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    await wait_until(lambda: Held(tmp_path).running(), "the read to begin")
    left.set()
    thread.join(60)
    assert raised
    await wait_until(lambda: not Held(tmp_path).running(), "the end of the read")


def test_a_read_learns_that_others_wait():
    assert read(held_reads.until_others_wait, is_awaited=partial(bool, 1)) == "others"


async def test_neither_a_stop_of_the_machine_nor_a_server_that_hangs_leaves_a_read_without_an_end(
    tmp_path, monkeypatch
):
    """Before, systemd's SIGTERM ended the reads before the console did, and a read waited for a dead server."""
    processes, raised = ReadProcesses(), list[LedgerError]()
    given = {"nice": 3, "mib": 96, "within_s": 60.0, "is_gone": never, "is_awaited": never}

    def visit() -> None:
        try:
            processes.run(held_reads.held, tmp_path, kind="held", **given)
        except LedgerError as error:
            raised.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    await wait_until(lambda: Held(tmp_path).running(), "the read to begin", 60.0)
    server = processes._server
    assert server is not None
    for pid in (server.pid, *Held(tmp_path).running()):
        os.kill(pid, signal.SIGTERM)
    held = processes.run(held_reads.sockets, kind="other", **given)
    assert len(held - held_reads.sockets_of(server.pid)) == 1, "its own"
    assert not held & held_reads.sockets_of(server.pid), "those of the server hide its death"
    monkeypatch.setattr(read_process, "FORKED_WITHIN_S", 0.2)
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(LedgerError, match="ended before it was done"):
        processes.run(held_reads.priority, kind="third", **given)
    monkeypatch.undo()
    assert processes.run(held_reads.priority, kind="third", **given), "of another server"
    assert thread.is_alive()
    processes.end()
    thread.join(60)
    assert [str(each) for each in raised] == ["The work ended before it was done; the log says why."]


def test_a_process_that_has_done_one_kind_of_reads_does_no_other():
    """Before, what a stranger's pack had spoiled could be given a password."""
    strangers, again, password = (read(os.getpid, kind=kind) for kind in ("public-pack", "public-pack", "password"))
    assert strangers == again
    assert strangers != password
