import sys
from types import SimpleNamespace

import numpy as np
import pytest

from idtone.core.errors import UsageError
from idtone.tones.showing.sound_device import play_samples
from lab.tones.error_text import error_text

SAMPLES = np.array([0.0, 0.5, -1.0, 1.0, 2.0])
PCM = np.array([0, 16384, -32768, 32767, 32767], "<i2").tobytes()
LONG = np.zeros(200_000)
"""More samples than a pipe holds, so that a program that ends early breaks the pipe."""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Function that writes a script; no other program is in PATH, and sounddevice is not installed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    def written(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return written


@pytest.mark.parametrize("name", ["pw-play", "paplay", "aplay"])
def test_a_program_gets_the_samples_and_their_rate(tmp_path, program, name):
    program(name, f'echo "$@" > {tmp_path}/options; /bin/cat > {tmp_path}/played')
    assert play_samples(SAMPLES, 48000) == name
    assert (tmp_path / "played").read_bytes() == PCM
    assert "48000" in (tmp_path / "options").read_text()


def test_the_next_player_is_tried_after_a_failure_and_all_failures_are_reported(tmp_path, program):
    said = error_text(UsageError, play_samples, SAMPLES, 8000)
    assert "this machine has no player that works. Install the package alsa-utils" in said
    program("paplay", "echo 'Connection refused' >&2; exit 1")
    program("aplay", "exit 3")
    assert "paplay: Connection refused; aplay: aplay ended with 3" in error_text(UsageError, play_samples, LONG, 8000)
    program("aplay", f"/bin/cat > {tmp_path}/played")
    assert play_samples(LONG, 8000) == "aplay"
    assert (tmp_path / "played").stat().st_size == 400_000


class Stream:
    def __init__(self, heard, **settings):
        self.heard = heard
        assert settings == {"samplerate": 8000, "channels": 1, "dtype": "int16"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.heard.append(b"end")

    def write(self, block):
        self.heard.append(block)


def test_sounddevice_comes_first_and_is_reported_without_a_device(program, monkeypatch):
    heard = []

    def refuse(**_):
        raise RuntimeError("no default output device")

    device = SimpleNamespace(RawOutputStream=refuse, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    assert "sounddevice: no default output device" in error_text(UsageError, play_samples, SAMPLES, 8000)
    device.RawOutputStream = lambda **settings: Stream(heard, **settings)
    assert play_samples(SAMPLES, 8000) == "sounddevice"
    assert heard == [PCM, b"end"]
