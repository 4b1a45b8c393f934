from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from idtone.errors import UsageError
from idtone.tones.showing.playing import play

SAMPLES = np.array([0.0, 0.5, -1.0, 1.0, 2.0])
PCM = np.array([0, 16384, -32768, 32767, 32767], "<i2").tobytes()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH; sounddevice is not installed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", ["pw-play", "paplay", "aplay"])
def test_a_program_gets_the_samples_and_their_rate(tmp_path: Path, programs: Path, name: str) -> None:
    program(programs, name, f'echo "$@" > {tmp_path}/options; /bin/cat > {tmp_path}/played')
    assert play(SAMPLES, 48000) == name
    assert (tmp_path / "played").read_bytes() == PCM
    assert "48000" in (tmp_path / "options").read_text()


def test_the_next_player_is_tried_after_a_failure(tmp_path: Path, programs: Path) -> None:
    program(programs, "pw-play", "echo 'no server' >&2; exit 1")
    program(programs, "aplay", f"/bin/cat > {tmp_path}/played")
    # More than a pipe holds: a program that ends early breaks the pipe.
    assert play(np.zeros(200_000), 8000) == "aplay"
    assert (tmp_path / "played").stat().st_size == 400_000


def test_all_failures_of_players_are_reported(programs: Path) -> None:
    program(programs, "paplay", "echo 'Connection refused' >&2; exit 1")
    program(programs, "aplay", "exit 3")
    with pytest.raises(UsageError, match=r"paplay: Connection refused; aplay: aplay ended with 3"):
        play(np.zeros(200_000), 8000)


def test_without_a_player_the_error_names_a_package(programs: Path) -> None:
    with pytest.raises(UsageError, match=r"this machine has no player that works\. Install the package alsa-utils"):
        play(SAMPLES, 8000)


class Stream:
    def __init__(self, heard: list[bytes], **settings: object) -> None:
        self.heard = heard
        assert settings == {"samplerate": 8000, "channels": 1, "dtype": "int16"}

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.heard.append(b"end")

    def write(self, block: bytes) -> None:
        self.heard.append(block)


def test_sounddevice_comes_first(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    device = SimpleNamespace(RawOutputStream=lambda **settings: Stream(heard, **settings), PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    assert play(SAMPLES, 8000) == "sounddevice"
    assert heard == [PCM, b"end"]


def test_a_sounddevice_without_a_device_is_reported(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no default output device")

    device = SimpleNamespace(RawOutputStream=refuse, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    with pytest.raises(UsageError, match="sounddevice: no default output device"):
        play(SAMPLES, 8000)
