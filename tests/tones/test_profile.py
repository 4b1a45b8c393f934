import os

import pytest

from idtone.core.errors import DocumentError
from idtone.tones.profile import load_profile, parse_profile
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import profile_file

GOOD = """\
id: pu-pu
title: 試験音 / Test sound
level_dbm0: -16
segments:
  - {frequencies_hz: [600], on_ms: 100, off_ms: 50}
  - {frequencies_hz: [600, 1000], on_ms: 80.5, ramp_ms: 0, modulation: {rate_hz: 20, depth: 0.5}}
  - {frequencies_hz: [], on_ms: 30}
repeat: 2
"""
SEGMENTS = GOOD[GOOD.index("segments") : GOOD.index("repeat")]


def faults_of(text):
    with pytest.raises(DocumentError) as caught:
        parse_profile(text, "p.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_a_file_becomes_a_profile(tmp_path):
    path = tmp_path / "pu-pu.yaml"
    path.write_text(GOOD, encoding="utf-8")
    profile = load_profile(path)
    assert (profile.id, profile.standard, profile.segments[0].ramp_ms) == ("pu-pu", False, 5)
    assert profile.duration_ms == 2 * (150 + 80.5 + 30)
    bursts = [(burst.start_ms, burst.end_ms) for burst in profile.bursts()]
    assert bursts == [(0, 100), (150, 230.5), (260.5, 360.5), (410.5, 491)]


def test_files_that_are_not_read(tmp_path):
    path = tmp_path / "master.wav"
    path.write_text(GOOD + "#" * 64 * 1024, encoding="utf-8")
    assert "larger than 65536 bytes" in error_text(DocumentError, load_profile, path)
    file, _ = profile_file(path, 0, 100)
    path.unlink()
    os.mkfifo(path)
    assert f"recording: {path} cannot be read: it is a folder, a pipe" in error_text(DocumentError, load_profile, file)


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("id: pu-pu", "id: Pu-Pu", "1:1: id", "cannot name a sound file"),
        ("id: pu-pu", "id: -pu", "1:1: id", "cannot name a sound file"),
        ("id: pu-pu", "id: ../pu", "1:1: id", "cannot name a sound file"),
        ("id: pu-pu", r'id: "pu\n"', "1:1: id", "cannot name a sound file"),
        ("title: 試験音 / Test sound", r'title: "a\nb"', "2:1: title", "is not one line"),
        ("title: 試験音 / Test sound", 'title: " "', "2:1: title", "is not one line"),
        ("level_dbm0: -16", "level_dbm0: -40.1", "3:1: level_dbm0", "is less than -40"),
        ("level_dbm0: -16", "level_dbm0: 0.1", "3:1: level_dbm0", "is more than 0"),
        ("level_dbm0: -16", "level_dbm0: nan", "3:1: level_dbm0", "is not a number"),
        ("level_dbm0: -16", "level_dbm0: -2", "3:1: level_dbm0", "clip"),
        ("level_dbm0: -16", "level: -16", "1:1: level_dbm0", "is missing"),
        ("[600]", "[299.9]", "5:23: segments[0].frequencies_hz[0]", "is less than 300"),
        ("[600]", "[600, 3400.1]", "5:28: segments[0].frequencies_hz[1]", "is more than 3400"),
        ("[600]", "[inf]", "5:23: segments[0].frequencies_hz[0]", "is not a number"),
        ("[600]", "[600, 600]", "5:6: segments[0].frequencies_hz", "600 Hz more than once"),
        ("[600]", "600", "5:6: segments[0].frequencies_hz", "Write a list"),
        ("on_ms: 100", "on_ms: 0", "5:29: segments[0].on_ms", "is less than 1"),
        ("on_ms: 100", "on_ms: 9.9", "5:5: segments[0].ramp_ms", "does not fit twice"),
        ("off_ms: 50", "off_ms: -1", "5:41: segments[0].off_ms", "is less than 0"),
        ("off_ms: 50", "of_ms: 50", "5:41: segments[0].of_ms", "is not a known key. Did you mean 'off_ms'"),
        ("depth: 0.5", "depth: 0", "6:86: segments[1].modulation.depth", "must be more than 0"),
        ("rate_hz: 20", "rate_hz: 101", "6:73: segments[1].modulation.rate_hz", "is more than 100"),
        ("on_ms: 30", "on_ms: 30, modulation: {rate_hz: 20, depth: 1}", "7:37: segments[2].modulation", "for a silent"),
        ("repeat: 2", "repeat: 0", "8:1: repeat", "is less than 1"),
        ("off_ms: 50", "off_ms: 3599950", "8:1: repeat", "Shorten it to 3600000 ms"),
        ("repeat: 2", "standard: true", "8:1: standard", "is true for a synthesised sound"),
        ("repeat: 2", "recording: a.wav", "4:1: segments", "are given together with a recording"),
        (SEGMENTS, "segments: []\n", "4:1: segments", "contain no tone. Give one of them a frequency"),
        (SEGMENTS, "segments: [{frequencies_hz: [], on_ms: 9}]\n", "4:1: segments", "contain no tone. Give one"),
    ],
)  # fmt: skip
def test_every_bad_value_is_a_located_fault(old, new, place, problem):
    assert old in GOOD
    found = faults_of(GOOD.replace(old, new))
    assert any(fault.startswith(f"p.yaml:{place}") and problem in fault for fault in found), found


def test_all_faults_are_reported_together_and_none_twice():
    text = GOOD.replace("[600]", "[600, 600]").replace("on_ms: 80.5, ramp_ms: 0", "on_ms: 80.5, ramp_ms: 41")
    assert len(faults_of(text)) == 2
    # One bad segment does not make the list look empty.
    assert len(faults_of(GOOD.replace(SEGMENTS, "segments: [{frequencies_hz: [200], on_ms: 100}]\n"))) == 1


def test_the_bounds_themselves_are_allowed():
    make_profile(tone(300, 3400))
    make_profile(tone(600, on_ms=10, ramp_ms=5), tone(600, on_ms=1, ramp_ms=0))
    make_profile(tone(600, on_ms=10_000), level_dbm0=-40)
    make_profile(tone(600, 1000, on_ms=50, off_ms=50), repeat=100, level_dbm0=0)
    make_profile(*[tone(600, on_ms=10)] * 64)
    assert "more than 64 entries" in error_text(DocumentError, make_profile, *[tone(600, on_ms=10)] * 65)


@pytest.mark.parametrize(
    ("sweep", "at"),
    [
        (None, {0.5: (600, 900)}),
        ({"to_hz": (800, 700)}, {0: (600, 900), 0.25: (650, 850), 1: (800, 700)}),
        ({"to_hz": (800, 700), "steps": 3}, {0.3: (600, 900), 0.5: (700, 800), 1: (800, 700)}),
    ],
)
def test_where_the_frequencies_are(sweep, at):
    (segment,) = make_profile(tone(600, 900, sweep=sweep)).segments
    for fraction, frequencies_hz in at.items():
        assert segment.frequencies_at(fraction) == pytest.approx(frequencies_hz)
