import os
from pathlib import Path

import numpy as np
import soundfile

from idtone.core.errors import RecordingError
from idtone.tones.recordings.open_recording import beginning_of, open_recording
from idtone.tones.recordings.read_recording import read_recording
from lab.tones.error_text import error_text
from lab.tones.recordings import capture_files

TALK = capture_files.talk(bytes(4000))


def test_the_content_decides_not_the_name(tmp_path):
    path = tmp_path / "call.wav"
    path.write_bytes(capture_files.pcap(capture_files.on_wire(TALK)))
    assert [leg.name for leg in read_recording(path)] == ["10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"]
    path = tmp_path / "call.pcap"
    soundfile.write(path, np.zeros(800), 8000, format="WAV")
    assert [leg.name for leg in read_recording(path)] == ["mono"]


def test_the_limit_and_the_notices_reach_the_readers(tmp_path):
    path, told = tmp_path / "call.pcap", []
    other = capture_files.on_wire(capture_files.talk(bytes(4000), payload_type=3), capture_files.CALLED)
    path.write_bytes(capture_files.pcap(capture_files.on_wire(TALK) + other))
    read_recording(path, notice=told.append)
    assert len(told) == 1
    assert "longer than" in error_text(RecordingError, read_recording, path, longest_s=0.49, notice=told.append)
    soundfile.write(path, np.zeros(4000), 8000, format="WAV")
    read_recording(path, longest_s=0.5)
    assert "longer than" in error_text(RecordingError, read_recording, path, longest_s=0.49)


def test_reading_the_beginning_keeps_the_position(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(40)))
    with open_recording(path) as file:
        assert beginning_of(file) == bytes(range(16))
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
        assert file.read() == bytes(range(40))


def test_paths_that_cannot_be_read(tmp_path, monkeypatch):
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
        assert error_text(RecordingError, open_recording, path).startswith(f"{path}: {problem}")
    assert "is not a valid path" in error_text(RecordingError, open_recording, Path("a\0b"))

    # The tests may run as root, which may read everything.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied. Check the path and its permissions" in error_text(RecordingError, open_recording, empty)
