"""Threads for work that may never end."""

import threading

import pytest

from idtone.core.daemon_thread import in_daemon


def test_a_thread_takes_the_next_work_when_it_has_none():
    first = in_daemon(threading.current_thread, "first").result(60)
    threads = {in_daemon(threading.current_thread, "next").result(60) for _ in range(20)}
    assert len(threads | {first}) <= 2  # the one before may not be free yet
    assert first.daemon


def test_work_that_hangs_keeps_no_other_work_waiting():
    hangs, ends = threading.Event(), threading.Event()

    def hang() -> str:
        hangs.set()
        ends.wait(60)
        return threading.current_thread().name

    hanging = in_daemon(hang, "hanging")
    assert hangs.wait(60)
    assert [in_daemon(lambda: 1, "other").result(60) for _ in range(3)] == [1, 1, 1]
    assert not hanging.done()
    ends.set()
    assert hanging.result(60) == "hanging"


def test_an_error_is_the_result_and_the_thread_goes_on():
    def fail() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        in_daemon(fail, "failing").result(60)
    assert in_daemon(lambda: 2, "next").result(60) == 2
