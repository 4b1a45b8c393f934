import json

import numpy as np

from idtone.core.errors import DocumentError, UsageError
from lab.tones.commands.run_tone import run
from lab.tones.error_text import error_text
from lab.tones.synthetic_recordings import profile_file, write


def assert_all(shown, *texts):
    assert [text for text in texts if text not in shown] == []


def test_list_names_every_profile(config):
    assert_all(run("list", "-c", config).stdout, "notice", "sample", "own", "Own [bold]", "560 ms", "shipped")
    listed = json.loads(run("list", "--json", "-c", config).stdout)
    assert [entry["id"] for entry in listed] == ["notice", "sample", "own"]
    source = str(config.parent / "profiles" / "own.yaml")
    assert listed[2] == {
        "id": "own",
        "title": "Own [bold]",
        "standard": False,
        "duration_ms": 100.0,
        "source": source,
    }


def test_show_prints_plan_picture_and_tone_string(config):
    shown = run("show", "notice", "-c", config).stdout
    assert_all(shown, "一般通知音", "-16 dBm0 (a-law)", "260 ms", "584 Hz", "██", "tolerance: frequency ±1 %")
    assert_all(shown, "!730/220,!0/40,!584/300", "FreeSWITCH: v=-15.99;%(220,40,730);%(300,0,584)", "without the ramps")
    assert "Warning" not in shown


def test_show_reads_a_file_and_warns_and_shows_json(config):
    shown = run("show", config.parent / "profiles" / "own.yaml").stdout
    assert_all(shown, "400 + 500 + 600 Hz", "Asterisk: cannot be written as tones")
    assert_all(shown, "Warning: this sound can be mistaken for Japanese dial")
    shown = json.loads(run("show", "own", "--json", "-c", config).stdout)
    assert shown["segments"][0]["frequencies_hz"] == [400, 500, 600]
    assert shown["asterisk"]["tones"] is None
    assert shown["freeswitch"]["tgml"] == "v=-11.219;%(100,0,400,500,600)"
    assert [loss[:9] for loss in shown["freeswitch"]["lost"]] == ["the ramps"]
    assert (shown["law"], len(shown["resembles"])) == ("a-law", 1)


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
    assert_all(
        shown,
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
    )
    assert shown.count("\n") < 70


def test_show_and_lint_of_a_recording(tmp_path):
    master = write(tmp_path / "master.wav", 0.1 * np.sin(np.arange(4000)), 16000)
    path, digest = profile_file(master, 10, 210)
    shown = run("show", path).stdout
    assert_all(shown, f"recording: {master}", f"sha256: {digest}", "trim: 10 to 210 ms", "200 ms", "██")
    assert shown.count("is a recording") == 2
    as_json = json.loads(run("show", path, "--json").stdout)
    assert as_json["recording"] == str(master)
    assert as_json["freeswitch"]["tgml"] is None
    assert run("lint", path).stdout.startswith("note recording:")


def test_lint_warns_and_exits_with_1(config):
    assert run("lint", "notice").stdout == "notice: no warnings\n"
    assert json.loads(run("lint", "notice", "--json").stdout) == []
    said = run("lint", "own", "-c", config, exits=1).stdout
    assert said.startswith("warning network-tone: segment 1 can be mistaken for Japanese dial")
    (finding,) = json.loads(run("lint", "own", "-c", config, "--json", exits=1).stdout)
    assert finding.keys() == {"code", "segment", "message", "warning"}
    assert (finding["code"], finding["segment"], finding["warning"]) == ("network-tone", 1, True)


def test_wrong_use_is_reported(config):
    for command in ("show", "lint"):
        said = error_text(UsageError, run, command, "nothing", "-c", config)
        assert "the profiles are notice, sample, own" in said
    assert "cannot be read" in error_text(DocumentError, run, "show", "./absent.yaml", "-c", config)
