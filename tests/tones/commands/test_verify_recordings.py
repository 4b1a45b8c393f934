import json

import pytest
import soundfile

from idtone.core.errors import ToneError, UsageError
from idtone.tones.making.synthesis import synthesise
from lab.tones.commands.run_tone import run
from lab.tones.error_text import error_text
from lab.tones.verification.synthetic_legs import NOTICE, SAMPLE, leg, without


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "calls"
    path.mkdir()
    return path


def verify(*arguments, **more):
    return run("verify", *arguments, "--profile", "sample", "--jobs", 1, **more)


def test_a_sound_that_is_there_exits_with_0_and_a_missing_one_with_1(mono, config):
    result = run("verify", mono, "--profile", "sample", "-c", config)
    for text in ("conforms", "at 0.700 s", "all 3 bursts are there", "dBm0", "false alarms an hour"):
        assert text in result.stdout
    assert "absent" in run("verify", mono, "--profile", "notice", "-c", config, exits=1).stdout


def test_the_report_is_json_too(mono):
    (entry,) = json.loads(verify(mono, "--json").stdout)
    assert (entry["verdict"], entry["leg"], entry["findings"][0]["failed"]) == ("conforms", "mono", [])
    assert set(entry) == {
        "file", "leg", "profile", "verdict", "reason", "findings", "duration_ms", "lost_ms", "threshold",
        "false_alarms_per_hour",
    }  # fmt: skip
    assert set(entry["findings"][0]) == {
        "verdict", "start_ms", "end_ms", "level_dbm0", "frequency_error_percent", "cadence_error_percent", "score",
        "bursts", "tests", "failed",
    }  # fmt: skip


def test_files_and_folders_are_one_table_and_a_csv(mono, home, tmp_path):
    soundfile.write(home / "[one].wav", leg(SAMPLE), 8000)
    assert verify(home).stdout
    soundfile.write(home / "two.wav", leg(NOTICE), 8000)
    out = tmp_path / "out.csv"
    result = verify(mono, home, "--csv", out, exits=1)
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:4]] == [
        [str(mono), "mono", "conforms"],
        [str(home / "[one].wav"), "mono", "conforms"],
        [str(home / "two.wav"), "mono", "absent"],
    ]
    assert "1 absent, 2 conforms" in result.stdout
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4
    entries = json.loads(verify(mono, home / "two.wav", "--json", exits=1).stdout)
    assert [entry["file"] for entry in entries] == [str(mono), str(home / "two.wav")]


def test_an_unreadable_file_of_a_folder_exits_with_2(home):
    (home / "bad.wav").write_bytes(b"no sound")
    assert "none of the files could be read" in error_text(UsageError, verify, home)
    soundfile.write(home / "good.wav", leg(SAMPLE), 8000)
    assert "unreadable" in verify(home, exits=2).stdout


def test_strict_accepts_only_conforming_sounds(mono):
    verify(mono, "--strict")
    # A capture shows losses; a recording does not, so the burst counts as missing.
    soundfile.write(mono, without(leg(SAMPLE), [(7760, 9280)]), 8000)
    verify(mono, exits=1)


def test_an_unsuitable_profile_is_reported_first(tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("id: long\ntitle: Long\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [600], on_ms: 60000}]\n")
    assert "cannot be looked for" in error_text(ToneError, run, "verify", tmp_path / "nothing.wav", "--profile", path)


def test_no_time_is_rounded_to_minus_zero(home):
    soundfile.write(home / "call.wav", synthesise(SAMPLE, 8000), 8000)
    (entry,) = json.loads(verify(home / "call.wav", "--json").stdout)
    assert entry["findings"][0]["start_ms"] == pytest.approx(0, abs=1)
    table = verify(home).stdout
    assert " 0.00 s" in table
    assert "-0.00" not in table


def test_a_failure_that_the_line_can_have_caused_has_a_mark_of_its_own(mono):
    samples = leg(SAMPLE)
    samples[7760:9280] *= 0.03
    soundfile.write(mono, samples, 8000)
    result = verify(mono, exits=1)
    assert "cannot-tell" in result.stdout
    assert "≈ burst 3 is missing" in result.stdout
    (entry,) = json.loads(verify(mono, "--json", exits=1).stdout)
    assert [
        (test["name"], test["certain"]) for test in entry["findings"][0]["tests"] if test["outcome"] == "failed"
    ] == [("bursts", False)]
