import json
import sys

import numpy as np
import pytest
import soundfile

from idtone.core.errors import RecordingError, ToneError, UsageError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from idtone.tones.recordings import read_recording
from idtone.tones.recordings.recorded_leg import RecordedLeg
from lab.tones.commands.run_tone import run
from lab.tones.error_text import error_text

NUMBERS = {
    "start_ms", "end_ms", "duration_ms", "rise_ms", "fall_ms", "level_dbm0", "level_dbov", "decay_db_per_s",
    "sinad_db", "click_db",
}  # fmt: skip


@pytest.fixture
def recording(tmp_path):
    """Recording of two legs: the sample sound after half a second, and silence."""
    left = np.pad(synthesise(load_library()["sample"], 8000), 4000)
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), 8000, subtype="PCM_16")
    return path


def test_inspect_prints_a_table_for_each_leg(recording):
    output = run("inspect", recording).output
    assert output.count("duration") == 2
    assert output.count("no bursts of tone found") == 1
    rows = [line.split() for line in output.splitlines() if " Hz " in line and "." in line.split()[0]]
    assert [row[:4] for row in rows] == [
        ["500.00", "620.00", "520.00", "Hz"],
        ["640.00", "760.00", "650.00", "Hz"],
        ["780.00", "940.00", "1040.00", "Hz"],
    ]


def test_the_json_of_inspect_keeps_its_shape_and_the_law_changes_levels(recording):
    left, right = json.loads(run("inspect", recording, "--json").output)
    assert set(left) == {
        "leg", "lost_ms", "duration_ms", "sample_rate_hz", "law", "dc_offset", "peak", "peak_dbov", "level_dbov",
        "level_dbm0", "noise_dbov", "noise_dbm0", "clipped_runs", "clipped_samples", "bursts", "truncated",
    }  # fmt: skip
    assert right["bursts"] == []
    for burst in left["bursts"]:
        assert set(burst) == {*NUMBERS, "partials", "modulation", "glide", "off_ms"}
        assert all(isinstance(burst[name], float) for name in NUMBERS)
        assert [set(partial) for partial in burst["partials"]] == [{"frequency_hz", "level_dbm0", "level_dbov"}]
    assert [burst["off_ms"] for burst in left["bursts"]] == [pytest.approx(20, abs=0.1)] * 2 + [None]
    by_mu, _ = json.loads(run("inspect", recording, "--law", "mu-law", "--json").output)
    assert (left["law"], by_mu["law"]) == ("a-law", "mu-law")
    assert by_mu["level_dbm0"] - left["level_dbm0"] == pytest.approx(0.065, abs=0.002)


def test_lost_packets_are_shown_as_lost(monkeypatch, recording):
    leg = RecordedLeg(
        "10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)", np.zeros(8000, np.float32), 8000, ((800, 960), (1600, 1760))
    )
    monkeypatch.setattr(read_recording, "read_recording", lambda _: (leg,))
    assert "lost      40 ms" in run("inspect", recording).output
    assert json.loads(run("inspect", recording, "--json").output)[0]["lost_ms"] == 40


def test_plot_in_the_terminal_and_to_a_png(recording, config):
    output = run("plot", recording, columns=100).output
    assert "4000 Hz" in output
    assert "━" in output
    assert output.count("├") >= 3
    assert run("plot", config.parent / "profiles" / "own.yaml").output.startswith("Own [bold]\n")
    picture = config.with_name("a.png")
    assert run("plot", "sample", "-o", picture).stdout == f"{picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_plan_is_drawn_where_the_sound_is(recording):
    output = run("plot", recording, "--profile", "sample", columns=152).output
    plan = next(line for line in output.splitlines() if line.startswith("   plan "))
    assert (plan.index("├") - 8) / 144 == pytest.approx(500 / 1440, abs=0.01)
    notice = run("plot", recording, "--profile", "notice")
    assert "plan" not in notice.stdout
    assert notice.stderr.count("no burst of notice is found in") == 2


def test_play(recording, tmp_path, monkeypatch):
    program = tmp_path / "programs" / "aplay"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat > {tmp_path}/$$.played\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for target, lengths in (("sample", [440 * 48]), (recording, [len(soundfile.read(recording)[0])] * 2)):
        run("play", target)
        played = [np.frombuffer(path.read_bytes(), "<i2") for path in tmp_path.glob("*.played")]
        assert [len(each) for each in played] == lengths
        assert max(np.abs(each).max() for each in played) == pytest.approx(0.1105 * 32768, rel=0.01)
        for path in tmp_path.glob("*.played"):
            path.unlink()


@pytest.mark.parametrize("content", [None, b"", b"This is no audio.\n" * 100])
def test_a_file_that_is_not_a_recording_is_reported(tmp_path, content):
    path = tmp_path / "file.wav"
    if content is not None:
        path.write_bytes(content)
    for command in (("inspect",), ("plot",), ("play",), ("verify", "--profile", "sample")):
        assert str(path) in error_text(RecordingError, run, *command, path)


def test_wrong_use_is_reported(recording, tmp_path):
    assert "unknown tone profile 'nothing'" in error_text(UsageError, run, "plot", "nothing")
    assert "is a profile; remove" in error_text(UsageError, run, "plot", "sample", "--profile", "notice")
    assert "only PNG is written" in error_text(UsageError, run, "plot", recording, "-o", tmp_path / "plot.jpg")
    path = tmp_path / "hour.yaml"
    path.write_text("id: hour\ntitle: Hour\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [700], on_ms: 3600000}]\n")
    for command in ("plot", "play"):
        assert "lasts 3600 s" in error_text(ToneError, run, command, path)
