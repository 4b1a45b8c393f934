import pytest

from idtone.tones.lint import RULES, lint
from idtone.tones.profile import CALL_LIMIT_MS
from idtone.tones.profile_library import load_library
from lab.tones.profiles import make_profile, recording, tone

MODULATED = {"rate_hz": 30, "depth": 0.5}


@pytest.mark.parametrize(
    ("code", "wrong", "right", "says"),
    [
        ("network-tone", tone(400), tone(470), "its cadence is continuous"),
        ("network-tone", tone(1300), tone(1325), "can be mistaken for modem calling"),
        ("out-of-band", tone(3390, modulation=MODULATED), tone(3370, modulation=MODULATED), "sounds at 3420 Hz"),
        ("too-loud", tone(600, level_dbm0=-9.9), tone(600, level_dbm0=-10), "is at -9.9 dBm0"),
        ("too-quiet", tone(600, level_dbm0=-30.1), tone(600, level_dbm0=-30), "is at -30.1 dBm0"),
        ("short-burst", tone(600, on_ms=39), tone(600, on_ms=40), "lasts 39 ms"),
        ("long-burst", tone(600, on_ms=2001), tone(600, on_ms=2000), "lasts 2001 ms"),
        ("click", tone(600, ramp_ms=2.9), tone(600, ramp_ms=3), "has ramps of 2.9 ms"),
        ("many-frequencies", tone(500, 550, 600, 820, 855), tone(500, 550, 600, 820), "has 5 frequencies"),
    ],
)
def test_a_segment_that_breaks_a_rule(code, wrong, right, says):
    (finding,) = lint(make_profile(tone(600), wrong))
    assert (finding.code, finding.segment, finding.warning) == (code, 2, True)
    assert says in finding.message
    assert lint(make_profile(tone(600), right)) == ()


def test_rules_of_the_whole_sound():
    common = make_profile(tone(600), tone(700), level_dbm0=-8)
    long, whole = make_profile(tone(600, on_ms=1000, off_ms=1), repeat=CALL_LIMIT_MS // 1000), tone(600, on_ms=1000)
    for profile, code in ((common, "too-loud"), (long, "too-long")):
        assert [(finding.code, finding.segment) for finding in lint(profile)] == [(code, None)]
    assert lint(make_profile(tone(600, level_dbm0=-12), level_dbm0=-8)) == (), "nothing sounds at the profile's level"
    assert lint(make_profile(whole, repeat=CALL_LIMIT_MS // 1000)) == ()
    loud, peak = lint(make_profile(tone(500, 550, 600, 820), level_dbm0=-5))
    assert (loud.code, peak.code) == ("too-loud", "little-headroom")
    assert "has 2.1 dB to clipping" in peak.message


def test_every_shipped_sound_is_clean_and_a_recording_gets_a_note():
    assert [lint(profile) for profile in load_library().values()] == [(), ()]
    (finding,) = lint(recording())
    assert (finding.code, finding.warning) == ("recording", False)
    assert "idtone tone inspect master.wav" in finding.message
    assert [finding.code for finding in lint(recording(level_dbm0=-8))] == ["too-loud", "recording"]


def test_codes_are_unique_and_long_times_written_out():
    assert len({rule.code for rule in RULES}) == len(RULES)
    messages = " ".join(finding.message for finding in lint(make_profile(tone(440, on_ms=3_600_000))))
    assert "3600000 ms" in messages
    assert "e+06" not in messages
