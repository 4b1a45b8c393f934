from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from idtone.errors import IdtoneError, RecordingError, ToneError, UsageError
from idtone.tones.commands import app
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library

NUMBERS = {
    "start_ms", "end_ms", "duration_ms", "rise_ms", "fall_ms", "level_dbm0", "level_dbov", "decay_db_per_s",
    "sinad_db", "click_db",
}  # fmt: skip


@pytest.fixture
def recording(tmp_path):
    """Two legs: the sample sound after half a second, and silence."""
    sound = synthesise(load_library()["sample"], 8000)
    left = np.concatenate([np.zeros(4000), sound, np.zeros(4000)])
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), 8000, subtype="PCM_16")
    return path


def run(*arguments, columns=120):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


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


def test_the_json_of_inspect_keeps_its_shape(recording):
    left, right = json.loads(run("inspect", recording, "--json").output)
    assert set(left) == {
        "leg", "lost_ms", "duration_ms", "sample_rate_hz", "law", "dc_offset", "peak", "peak_dbov", "level_dbov",
        "level_dbm0", "noise_dbov", "noise_dbm0", "clipped_runs", "clipped_samples", "bursts", "truncated",
    }  # fmt: skip
    assert right["bursts"] == []
    assert len(left["bursts"]) == 3
    for burst in left["bursts"]:
        assert set(burst) == {*NUMBERS, "partials", "modulation", "glide", "off_ms"}
        assert all(isinstance(burst[name], float) for name in NUMBERS)
        assert [set(partial) for partial in burst["partials"]] == [{"frequency_hz", "level_dbm0", "level_dbov"}]
    assert [burst["off_ms"] for burst in left["bursts"]] == [pytest.approx(20, abs=0.1)] * 2 + [None]


def test_the_law_changes_levels(recording):
    by_a, by_mu = (
        json.loads(run("inspect", recording, "--law", law, "--json").output)[0] for law in ("a-law", "mu-law")
    )
    assert by_mu["law"] == "mu-law"
    assert by_mu["level_dbm0"] - by_a["level_dbm0"] == pytest.approx(0.065, abs=0.002)


def test_lost_packets_are_shown_as_lost(monkeypatch, recording):
    from idtone.tones.recordings import reading
    from idtone.tones.recordings.leg import Leg

    leg = Leg("10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)", np.zeros(8000, np.float32), 8000, ((800, 960), (1600, 1760)))
    monkeypatch.setattr(reading, "read", lambda _: (leg,))
    assert "lost      40 ms" in run("inspect", recording).output
    assert json.loads(run("inspect", recording, "--json").output)[0]["lost_ms"] == 40


@pytest.mark.parametrize("target", ["sample", "call.wav"])
def test_plot_in_the_terminal(recording, target):
    output = run("plot", target if target == "sample" else recording, columns=100).output
    assert "4000 Hz" in output
    assert "━" in output
    assert output.count("├") >= 3


def test_plot_to_a_png(recording, tmp_path):
    for name, arguments in (("a.png", ("sample",)), ("b.png", (recording, "--profile", "sample"))):
        assert run("plot", *arguments, "-o", tmp_path / name).stdout == f"{tmp_path / name}\n"
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_plan_is_drawn_where_the_sound_is(recording):
    output = run("plot", recording, "--profile", "sample", columns=152).output
    plan = next(line for line in output.splitlines() if line.startswith("   plan "))
    place = (plan.index("├") - 8) / 144
    assert place == pytest.approx(500 / 1460, abs=0.01)
    notice = run("plot", recording, "--profile", "notice")
    assert "plan" not in notice.stdout
    assert notice.stderr.count("no burst of notice is found in") == 2


def test_a_profile_file_is_a_target(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("id: own\ntitle: Own\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [700], on_ms: 100}]\n")
    assert run("plot", path).output.startswith("Own\n")


@pytest.mark.parametrize("target", ["sample", "call.wav"])
def test_play(recording, tmp_path, monkeypatch, target):
    program = tmp_path / "programs" / "aplay"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat >> {tmp_path}/played\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    run("play", target if target == "sample" else recording)
    played = np.frombuffer((tmp_path / "played").read_bytes(), "<i2")
    assert len(played) == (440 * 48 if target == "sample" else 2 * len(soundfile.read(recording)[0]))
    assert np.abs(played).max() == pytest.approx(0.1105 * 32768, rel=0.01)


@pytest.mark.parametrize("command", ["inspect", "plot", "play"])
@pytest.mark.parametrize("content", [None, b"", b"This is no audio.\n" * 100])
def test_a_file_that_is_not_a_recording_is_reported(tmp_path, command, content):
    path = tmp_path / "file.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"file\.wav"):
        run(command, path)


def test_wrong_use_is_reported(recording, tmp_path):
    with pytest.raises(UsageError, match="unknown tone profile 'nothing'"):
        run("plot", "nothing")
    with pytest.raises(UsageError, match="is a profile; remove"):
        run("plot", "sample", "--profile", "notice")
    with pytest.raises(UsageError, match="only PNG is written"):
        run("plot", recording, "-o", tmp_path / "plot.jpg")
    assert not (tmp_path / "plot.jpg").exists()


def test_an_hour_of_one_profile_is_neither_drawn_nor_played(tmp_path):
    path = tmp_path / "hour.yaml"
    path.write_text("id: hour\ntitle: Hour\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [700], on_ms: 3600000}]\n")
    for command in ("plot", "play"):
        with pytest.raises(ToneError, match="lasts 3600 s"):
            run(command, path)


def test_the_command_exits_with_2_without_a_player(tmp_path):
    """With this machine's real players, which have no sound device, or without players."""
    script = "import sys; sys.modules['sounddevice'] = None; from idtone.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "tone", "play", "sample"],
        env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("idtone: this machine has no player that works")
    assert len(io.StringIO(done.stderr).readlines()) == 1
