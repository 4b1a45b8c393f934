from __future__ import annotations

import os
from pathlib import Path

import pytest

from idtone.errors import RecordingError
from idtone.tones.recordings.opening import beginning_of, open_recording


def test_reading_the_beginning_keeps_the_position(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(40)))
    with open_recording(path) as file:
        assert beginning_of(file) == bytes(range(16))
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
        assert file.read() == bytes(range(40))


def test_paths_that_are_not_files(tmp_path: Path) -> None:
    empty, pipe = tmp_path / "empty.wav", tmp_path / "pipe.wav"
    empty.touch()
    os.mkfifo(pipe)
    for path, problem in (
        (tmp_path / "absent.wav", "cannot be opened: No such file or directory"),
        (tmp_path, "is a folder"),
        (Path("/dev/zero"), "is a pipe or a device"),
        (pipe, "is a pipe or a device"),
        (empty, "is empty"),
    ):
        with pytest.raises(RecordingError) as caught:
            open_recording(path)
        assert str(caught.value).startswith(f"{path}: {problem}")
    with pytest.raises(RecordingError, match="is not a valid path"):
        open_recording(Path("a\0b"))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, which may read everything.
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RecordingError, match=r"Permission denied\. Check the path and its permissions"):
        open_recording(tmp_path / "a.wav")
