from __future__ import annotations

import json

import pytest
import soundfile

from idtone.errors import RecordingError, ToneError, UsageError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library

from ..verification.legs import leg, without
from .running import run

NOTICE, SAMPLE = load_library()["notice"], load_library()["sample"]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "call.wav"
    soundfile.write(path, leg(SAMPLE), 8000)
    return path


def test_a_sound_that_is_there_exits_with_0(recording, config):
    result = run("verify", recording, "--profile", "sample", "-c", config)
    assert result.exit_code == 0
    for text in ("conforms", "at 0.700 s", "all 3 bursts are there", "dBm0", "false alarms an hour"):
        assert text in result.stdout


def test_a_missing_sound_exits_with_1(recording, config):
    result = run("verify", recording, "--profile", "notice", "-c", config)
    assert result.exit_code == 1
    assert "absent" in result.stdout


def test_the_report_is_json_too(recording, config):
    (entry,) = json.loads(run("verify", recording, "--profile", "sample", "--json", "-c", config).stdout)
    assert entry["verdict"] == "conforms"
    assert entry["leg"] == "mono"
    assert entry["findings"][0]["failed"] == []
    assert set(entry) == {
        "file", "leg", "profile", "verdict", "reason", "findings", "duration_ms", "lost_ms", "threshold",
        "false_alarms_per_hour",
    }  # fmt: skip
    assert set(entry["findings"][0]) == {
        "verdict", "start_ms", "end_ms", "level_dbm0", "frequency_error_percent", "cadence_error_percent", "score",
        "bursts", "tests", "failed",
    }  # fmt: skip


def test_a_folder_gives_a_table_and_a_csv(recording, tmp_path, config):
    home = tmp_path / "calls"
    home.mkdir()
    soundfile.write(home / "[one].wav", leg(SAMPLE), 8000)
    soundfile.write(home / "two.wav", leg(NOTICE), 8000)
    out = tmp_path / "out.csv"
    result = run("verify", home, "--profile", "sample", "--csv", out, "--jobs", 1, "-c", config)
    assert result.exit_code == 1
    for text in ("[one].wav", "two.wav", "1 absent, 1 conforms"):
        assert text in result.stdout
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3
    (home / "two.wav").unlink()
    assert run("verify", home, "--profile", "sample", "--jobs", 1, "-c", config).exit_code == 0


def test_several_files_and_folders_are_one_table(recording, tmp_path, config):
    home = tmp_path / "calls"
    home.mkdir()
    soundfile.write(home / "two.wav", leg(NOTICE), 8000)
    result = run("verify", recording, home, "--profile", "sample", "--jobs", 1, "-c", config)
    assert result.exit_code == 1
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:3]] == [
        [str(recording), "mono", "conforms"],
        [str(home / "two.wav"), "mono", "absent"],
    ]
    entries = json.loads(run("verify", recording, home, "--profile", "sample", "--json", "-c", config).stdout)
    assert [entry["file"] for entry in entries] == [str(recording), str(home / "two.wav")]


def test_an_unreadable_file_of_a_folder_exits_with_2(tmp_path, config):
    home = tmp_path / "calls"
    home.mkdir()
    (home / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(UsageError, match="none of the files could be read"):
        run("verify", home, "--profile", "sample", "--jobs", 1, "-c", config)
    soundfile.write(home / "good.wav", leg(SAMPLE), 8000)
    result = run("verify", home, "--profile", "sample", "--jobs", 1, "-c", config)
    assert result.exit_code == 2
    assert "unreadable" in result.stdout


def test_strict_accepts_only_conforming_sounds(tmp_path, config):
    # A capture shows losses; a recording does not, so the burst counts as missing.
    path = tmp_path / "call.wav"
    soundfile.write(path, without(leg(SAMPLE), [(7760, 9280)]), 8000)
    assert run("verify", path, "--profile", "sample", "-c", config).exit_code == 1
    soundfile.write(path, leg(SAMPLE), 8000)
    assert run("verify", path, "--profile", "sample", "--strict", "-c", config).exit_code == 0


@pytest.mark.parametrize("content", [None, b"", b"no sound at all, but some text that is longer than a header" * 5])
def test_a_file_that_is_not_a_recording_is_one_error(tmp_path, config, content):
    path = tmp_path / "call.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"call\.wav"):
        run("verify", path, "--profile", "sample", "-c", config)


def test_an_unsuitable_profile_is_reported_first(tmp_path, config):
    (tmp_path / "long.yaml").write_text(
        "id: long\ntitle: Long\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [600], on_ms: 60000}]\n"
    )
    with pytest.raises(ToneError, match="cannot be looked for"):
        run("verify", tmp_path / "nothing.wav", "--profile", tmp_path / "long.yaml", "-c", config)


def test_no_time_is_rounded_to_minus_zero(tmp_path, config):
    soundfile.write(tmp_path / "call.wav", synthesise(SAMPLE, 8000), 8000)
    (entry,) = json.loads(run("verify", tmp_path / "call.wav", "--profile", "sample", "--json", "-c", config).stdout)
    assert entry["findings"][0]["start_ms"] == pytest.approx(0, abs=1)
    table = run("verify", tmp_path, "--profile", "sample", "--jobs", 1, "-c", config).stdout
    assert " 0.00 s" in table
    assert "-0.00" not in table
