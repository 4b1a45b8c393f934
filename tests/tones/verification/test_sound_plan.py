from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import ToneError
from idtone.tones.verification.sound_plan import CLOSE_HZ, plan_of
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import noise, recording_of, with_silence, write
from lab.tones.verification.synthetic_legs import SAMPLE


def test_times_count_from_the_middle_of_the_first_ramp():
    plan = plan_of(SAMPLE)
    assert [each.start_s for each in plan.components] == pytest.approx([0, 0.14, 0.28])
    assert [each.end_s for each in plan.components] == pytest.approx([0.11, 0.25, 0.43])
    assert (plan.length_s, plan.bursts, plan.steady) == (pytest.approx(0.43), 3, True)
    # Silence before the first burst does not count.
    plan = plan_of(make_profile(tone(on_ms=500), tone(600, on_ms=100, ramp_ms=0)))
    assert (plan.components[0].start_s, plan.length_s) == (0, pytest.approx(0.1))
    # Close tones are lines of one component, and so are the steps of a sweep of one burst.
    low, high = plan_of(make_profile(tone(600, 640, 900))).components
    assert (low.middle_hz, low.lines_hz, high.lines_hz) == (620, (-20, 20), (0,))
    stairs = plan_of(make_profile(tone(1200, sweep={"to_hz": [600], "steps": 4}))).components
    assert [(each.from_hz, each.burst) for each in stairs] == [(1200, 0), (1000, 0), (800, 0), (600, 0)]


@given(frequencies=st.lists(st.floats(300, 3400), min_size=1, max_size=8, unique=True))
def test_no_tone_is_lost_in_the_grouping(frequencies):
    components = plan_of(make_profile(tone(*frequencies))).components
    lines = sorted(each.middle_hz + line_hz for each in components for line_hz in each.lines_hz)
    assert lines == pytest.approx(sorted(frequencies))
    middles = sorted(each.middle_hz + each.lines_hz[0] for each in components)
    assert all(later - earlier > CLOSE_HZ for earlier, later in pairwise(middles))


def plan_of_recorded(tmp_path, sound):
    """The plan of a profile that is a recording of another profile's sound."""
    path = write(tmp_path / "master.wav", with_silence(sound, 16_000, 50), 16_000, "PCM_24")
    return plan_of(recording_of(path, 50, 50 + sound.duration_ms))


def test_a_recording_has_the_plan_of_its_sound(tmp_path):
    sound = make_profile(tone(520, 1100, on_ms=150, off_ms=40, ramp_ms=10), tone(800, on_ms=250, off_ms=50, ramp_ms=10))
    wanted, found = plan_of(sound), plan_of_recorded(tmp_path, sound)
    for each, other in zip(wanted.components, found.components, strict=True):
        assert (other.start_s, other.end_s) == pytest.approx((each.start_s, each.end_s), abs=0.002)
        assert other.middle_hz == pytest.approx(each.middle_hz, abs=0.1)
        assert other.amplitude == pytest.approx(each.amplitude, rel=0.02)


def test_the_same_tone_recorded_twice_is_one(tmp_path):
    sound = make_profile(tone(900, on_ms=300, off_ms=100, modulation={"rate_hz": 16, "depth": 0.8}), repeat=2)
    plan = plan_of_recorded(tmp_path, sound)
    assert plan.components[0].from_hz == plan.components[1].from_hz
    assert plan.longest_row == 2


def test_a_recording_without_tones_is_refused(tmp_path):
    path = write(tmp_path / "master.wav", noise(16_000, 0.1), 16_000, "PCM_24")
    said = error_text(ToneError, plan_of, recording_of(path, 0, 1000, level_dbm0=-20))
    assert "holds no tone" in said
