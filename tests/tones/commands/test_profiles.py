from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import soundfile

from idtone.errors import DocumentError, UsageError

from .running import run


def test_list_names_every_profile(config):
    result = run("list", "-c", config)
    assert result.exit_code == 0
    for text in ("notice", "sample", "own", "Own [bold]", "560 ms", "shipped"):
        assert text in result.stdout


def test_list_as_json(config):
    listed = json.loads(run("list", "--json", "-c", config).stdout)
    assert [entry["id"] for entry in listed] == ["notice", "sample", "own"]
    assert listed[2] == {
        "id": "own",
        "title": "Own [bold]",
        "standard": False,
        "duration_ms": 100.0,
        "source": str(config.parent / "profiles" / "own.yaml"),
    }


def test_show_prints_plan_picture_and_tone_string(config):
    shown = run("show", "notice", "-c", config).stdout
    for text in ("一般通知音", "-16 dBm0", "260 ms", "584 Hz", "██", "!730/220,!0/40,!584/300", "without the ramps"):
        assert text in shown
    for text in ("(a-law)", "tolerance: frequency ±1 %", "FreeSWITCH: v=-15.99;%(220,40,730);%(300,0,584)"):
        assert text in shown
    assert "Warning" not in shown


def test_show_reads_a_file_and_warns(config):
    shown = run("show", config.parent / "profiles" / "own.yaml").stdout
    assert "400 + 500 + 600 Hz" in shown
    assert "Asterisk: cannot be written as tones" in shown
    assert "Warning: this sound can be mistaken for Japanese dial" in shown


def test_show_as_json(config):
    shown = json.loads(run("show", "own", "--json", "-c", config).stdout)
    assert shown["segments"][0]["frequencies_hz"] == [400, 500, 600]
    assert shown["asterisk"]["tones"] is None
    assert shown["freeswitch"]["tgml"] == "v=-11.219;%(100,0,400,500,600)"
    assert [loss[:9] for loss in shown["freeswitch"]["lost"]] == ["the ramps"]
    assert shown["law"] == "a-law"
    assert len(shown["resembles"]) == 1


RICH = """\
id: rich
title: Rich
level_dbm0: -16
law: mu-law
dither_seed: 7
tolerance: {level_db: 3}
repeat: 10000
segments:
  - {frequencies_hz: [600], on_ms: 100, off_ms: 20, level_dbm0: -20, sweep: {to_hz: [800]}}
  - {frequencies_hz: [800], on_ms: 100, off_ms: 20, sweep: {to_hz: [600], steps: 4}}
"""


def test_show_prints_all_properties_of_a_profile_briefly(tmp_path):
    (tmp_path / "rich.yaml").write_text(RICH)
    shown = run("show", tmp_path / "rich.yaml").stdout
    for text in (
        "-16 dBm0 (mu-law)",
        "level ±3 dB",
        "dither: seed 7",
        "600 Hz gliding to 800 Hz",
        "800 Hz in 4 steps to 600 Hz",
        "-20 dBm0",
        "19980 more",
        "10000 times",
        "more than 1000 tones",
        "FreeSWITCH: L=10000;v=",
        "without the glide",
    ):
        assert text in shown
    assert shown.count("\n") < 70


def test_show_of_a_recording(tmp_path):
    soundfile.write(tmp_path / "master.wav", 0.1 * np.sin(np.arange(4000)), 16000)
    digest = hashlib.sha256((tmp_path / "master.wav").read_bytes()).hexdigest()
    (tmp_path / "own.yaml").write_text(
        "id: own\ntitle: Own\nlevel_dbm0: -16\nrecording: master.wav\n"
        f"sha256: {digest}\ntrim: {{from_ms: 10, to_ms: 210}}\n"
    )
    shown = run("show", tmp_path / "own.yaml").stdout
    for text in (f"recording: {tmp_path}/master.wav", f"sha256: {digest}", "trim: 10 to 210 ms", "200 ms", "██"):
        assert text in shown
    assert shown.count("is a recording") == 2
    as_json = json.loads(run("show", tmp_path / "own.yaml", "--json").stdout)
    assert as_json["recording"] == str(tmp_path / "master.wav")
    assert as_json["freeswitch"]["tgml"] is None
    linted = run("lint", tmp_path / "own.yaml")
    assert (linted.exit_code, linted.stdout[:15]) == (0, "note recording:")


def test_lint_of_a_clean_profile():
    result = run("lint", "notice")
    assert (result.exit_code, result.stdout) == (0, "notice: no warnings\n")
    result = run("lint", "notice", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_lint_warns_and_exits_with_1(config):
    result = run("lint", "own", "-c", config)
    assert result.exit_code == 1
    assert result.stdout.startswith("warning network-tone: segment 1 can be mistaken for Japanese dial")
    result = run("lint", "own", "-c", config, "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert finding.keys() == {"code", "segment", "message", "warning"}
    assert (finding["code"], finding["segment"], finding["warning"]) == ("network-tone", 1, True)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("show", "nothing"), UsageError, "the profiles are notice, sample, own"),
        (("show", "./absent.yaml"), DocumentError, "cannot be read"),
        (("lint", "nothing"), UsageError, "the profiles are notice, sample, own"),
    ],
)
def test_wrong_use_is_reported(config, arguments, error, says):
    with pytest.raises(error, match=says):
        run(*arguments, "-c", config)
