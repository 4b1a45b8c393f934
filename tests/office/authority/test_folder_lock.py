"""Threads and processes take turns at the lock of an authority's folder."""

import fcntl
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from idtone.office.authority import folder_lock
from idtone.office.authority.folder_lock import LOOK_EVERY_S, lock_folder


def test_threads_that_follow_one_another_give_way_to_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A waiting thread takes the lock within microseconds, but another process only polls it."""
    file, paused = tmp_path / ".lock", list[float]()

    def pause(seconds: float) -> None:
        with file.open() as descriptor:  # as another process does
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            paused.append(seconds)

    def follow() -> None:
        with lock_folder(file, 60):
            pass

    monkeypatch.setattr(folder_lock, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    monkeypatch.setattr(folder_lock, "GIVE_WAY_EVERY_S", 0)
    follow()
    assert not paused, "a command alone is as fast as before"
    thread = threading.Thread(target=follow)
    with lock_folder(file, 60):
        thread.start()
        while not folder_lock._locks[file].is_wanted:
            time.sleep(LOOK_EVERY_S)
    thread.join()
    assert paused == [2 * LOOK_EVERY_S]
