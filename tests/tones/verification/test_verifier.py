import functools

import numpy as np
import pytest

from idtone.core.errors import RecordingError, ToneError
from idtone.tones.verification.verifier import Verifier
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.verification.synthetic_legs import NOTICE, RATE_HZ, SAMPLE, leg, noise_for, without

PULSES = make_profile(tone(400, on_ms=100, off_ms=100), repeat=2)
STAIRS = make_profile(tone(600, on_ms=300, off_ms=60, sweep={"to_hz": [1200], "steps": 3}), tone(1200, on_ms=150))
KINDS = {
    "notice": NOTICE,
    "sample": SAMPLE,
    "two pulses": PULSES,
    "chord": make_profile(tone(620, 860, on_ms=200, off_ms=80), tone(620, 860, on_ms=250)),
    "close tones": make_profile(tone(600, 640, on_ms=250, off_ms=80), tone(600, 640, on_ms=250)),
    "trembling": make_profile(tone(1250, on_ms=300, off_ms=100, modulation={"rate_hz": 20, "depth": 0.8}), tone(1250)),
    "sweep": make_profile(tone(600, on_ms=300, off_ms=60, sweep={"to_hz": [1200]}), tone(1200, on_ms=150)),
    "stairs": STAIRS,
    "one": make_profile(tone(1004, on_ms=500)),
    "two levels": make_profile(tone(700, on_ms=150, off_ms=60), tone(950, on_ms=200, level_dbm0=-22)),
}
verifier = functools.cache(Verifier)


def verify(profile, samples, sample_rate_hz=RATE_HZ, lost=()):
    return verifier(profile).verify(samples, sample_rate_hz, lost)


def verdict(profile, samples, **more):
    return str(verify(profile, samples, **more).verdict)


@pytest.mark.parametrize("name", KINDS)
def test_the_sound_conforms_and_is_measured(name):
    profile = KINDS[name]
    end_ms = 700 + profile.duration_ms - profile.segments[-1].off_ms
    report = verify(profile, leg(profile, gain_db=-4, noise_dbov=-50))
    assert report.verdict == "conforms", report.reason
    (finding,) = report.findings
    assert (finding.start_ms, finding.end_ms) == pytest.approx((700, end_ms), abs=3)
    assert abs(finding.frequency_error_percent) < 0.05
    assert abs(finding.cadence_error_percent) < 1
    assert finding.failed == ()
    assert finding.score > report.threshold


def test_the_level_is_that_of_the_recording():
    for gain_db in (-12, 3):
        finding = verify(SAMPLE, leg(SAMPLE, gain_db=gain_db)).findings[0]
        assert finding.level_dbm0 == pytest.approx(-16 + gain_db, abs=0.15)
        assert [burst.level_dbm0 for burst in finding.bursts] == pytest.approx([-16 + gain_db] * 3, abs=0.3)
    # Steps are one burst with one level.
    finding = verify(STAIRS, leg(STAIRS)).findings[0]
    assert finding.level_dbm0 == pytest.approx(-16, abs=0.2)
    assert (finding.bursts[0].start_ms, finding.bursts[0].end_ms) == pytest.approx((700, 1000), abs=5)


@pytest.mark.nightly
def test_a_glide_and_a_tone_after_it_agree_on_the_frequency():
    sound = make_profile(tone(500, on_ms=400, off_ms=50, sweep={"to_hz": [1500]}), tone(1500, on_ms=300))
    finding = verify(sound, leg(sound)).findings[0]
    assert (finding.verdict, finding.start_ms) == ("conforms", pytest.approx(700, abs=1))
    assert abs(finding.frequency_error_percent) < 0.02
    higher = make_profile(tone(508, on_ms=400, off_ms=50, sweep={"to_hz": [1524]}), tone(1524, on_ms=300))
    assert verdict(sound, leg(higher)) == "absent"


def test_each_burst_and_every_test_is_reported_and_the_false_alarms():
    report = verify(SAMPLE, leg(SAMPLE))
    (finding,) = report.findings
    assert [burst.start_ms for burst in finding.bursts] == pytest.approx([700, 840, 980], abs=2)
    assert [burst.end_ms for burst in finding.bursts] == pytest.approx([820, 960, 1140], abs=2)
    assert all(max(abs(burst.start_error_ms), abs(burst.end_error_ms)) <= 2 for burst in finding.bursts)
    assert all(burst.heard == 1 for burst in finding.bursts)
    names = ["frequency", "cadence", "bursts", "edges", "further", "pauses", "level"]
    assert [(test.name, test.outcome) for test in finding.tests] == [(name, "passed") for name in names]
    assert 0 < report.false_alarms_per_hour < 0.1


@pytest.mark.parametrize("name", ["notice", "sample", "chord", "one"])
def test_noise_as_loud_as_the_sound_does_not_hide_it(name):
    profile = KINDS[name]
    noise_dbov = noise_for(profile, -3)
    assert [verdict(profile, leg(profile, noise_dbov=noise_dbov, seed=seed)) for seed in range(2)] == ["conforms"] * 2


@pytest.mark.parametrize("sample_rate_hz", [11025, 16000, 48000])
def test_any_rate_is_accepted(sample_rate_hz):
    samples = leg(NOTICE, sample_rate_hz=sample_rate_hz)
    report = verify(NOTICE, samples, sample_rate_hz)
    assert (report.verdict, report.findings[0].start_ms) == ("conforms", pytest.approx(700, abs=2))
    assert report.duration_ms == pytest.approx(1000 * len(samples) / sample_rate_hz)


def test_every_occurrence_is_found_at_the_very_beginning_and_end_too():
    report = verify(SAMPLE, leg(*[SAMPLE] * 3, apart_ms=1500))
    assert [finding.verdict for finding in report.findings] == ["conforms"] * 3
    assert sorted(finding.start_ms for finding in report.findings) == pytest.approx([700, 2640, 4580], abs=2)
    assert verdict(SAMPLE, leg(SAMPLE, at_ms=0, after_ms=0, apart_ms=0)) == "conforms"


def changed(frequency=1.0, time=1.0):
    return make_profile(*(tone(f * frequency, on_ms=on_ms * time, off_ms=20 * time, ramp_ms=10) for f, on_ms in BURSTS))


def bursts(*pairs):
    return make_profile(*(tone(f, on_ms=ms, off_ms=20, ramp_ms=10) for f, ms in pairs))


FIRST, SECOND, LAST = BURSTS = (520, 120), (650, 120), (1040, 160)
NEAR_MISSES = {
    "the sound itself": bursts(*BURSTS),
    "2 % higher": changed(frequency=1.02),
    "2 % lower": changed(frequency=0.98),
    "12 % slower": changed(time=1.12),
    "12 % faster": changed(time=0.88),
    "without its first burst": bursts(SECOND, LAST),
    "without its last burst": bursts(FIRST, SECOND),
    "with one more burst": bursts(FIRST, SECOND, LAST, LAST),
    "backwards": bursts((1040, 120), SECOND, FIRST),
    "the other shipped one": NOTICE,
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_only_the_sound_itself_conforms(name):
    report = verify(SAMPLE, leg(NEAR_MISSES[name]))
    assert report.verdict == ("conforms" if name == "the sound itself" else "absent")
    if name == "12 % slower":
        assert "the cadence is 1" in report.reason
        assert "slower; 6 % are allowed" in report.reason


def test_pulses_are_counted_and_a_tone_through_the_pause_is_not_two():
    for count in (1, 3, 4):
        assert verdict(PULSES, leg(make_profile(tone(400, on_ms=100, off_ms=100), repeat=count))) == "absent"
    assert verdict(PULSES, leg(make_profile(tone(400, on_ms=300)))) == "absent"


def test_the_profile_sets_the_tolerance():
    def sound(factor=1.0, **tolerance):
        return make_profile(tone(600 * factor, on_ms=200), tone(900 * factor, on_ms=200), tolerance=tolerance)

    heard = leg(sound(1.01))
    assert verdict(sound(frequency_percent=0.3), heard) == "absent"
    assert verdict(sound(frequency_percent=2.5), heard) == "conforms"
    # A level is judged where the profile asks for it.
    judged = sound(level_db=3)
    assert verdict(judged, leg(judged, gain_db=-2)) == "conforms"
    report = verify(judged, leg(judged, gain_db=-5))
    assert report.verdict == "absent"
    assert "3 dB are allowed" in report.reason


def with_losses(*spans_s):
    lost = [(round(start * RATE_HZ), round(end * RATE_HZ)) for start, end in spans_s]
    return verify(SAMPLE, without(leg(SAMPLE), lost), lost=lost)


def test_a_burst_that_is_lost_leaves_the_sound_present():
    report = with_losses((0.97, 1.16))
    assert (report.verdict, report.lost_ms) == ("present", pytest.approx(190))
    assert "burst 3 is partly or completely lost in the recording" in report.reason
    # If the same silence is not known as a loss, the burst is missing.
    assert verdict(SAMPLE, without(leg(SAMPLE), [(7760, 9280)])) == "absent"


def test_single_lost_packets_do_not_matter_and_too_many_give_cannot_tell():
    assert with_losses(*((at, at + 0.02) for at in (0.74, 0.86, 1.05))).verdict == "conforms"
    report = with_losses((0.6, 1.3))
    assert report.verdict == "cannot-tell"
    assert "are lost" in report.reason


def test_edges_of_a_half_lost_burst_are_not_reported():
    """Five packets are missing, most of them in the second burst."""
    report = with_losses((0.86, 0.96))
    assert report.verdict == "present"
    (finding, *_) = report.findings
    (edges,) = [test.says for test in finding.tests if test.name == "edges"]
    partly = [burst for burst in finding.bursts if burst.heard < 0.95]
    assert min(burst.heard for burst in partly) < 0.7
    assert {(burst.start_error_ms, burst.end_error_ms) for burst in partly} == {(None, None)}
    assert f"the largest edge error of {len(finding.bursts) - len(partly)} bursts that can be measured" in edges


def test_nothing_is_found_in_silence_and_noise():
    for profile in KINDS.values():
        for samples in (np.zeros(RATE_HZ * 2, np.float32), leg(noise_dbov=-20)):
            report = verify(profile, samples)
            assert (report.verdict, report.findings) == ("absent", ()), profile


def test_recordings_that_show_nothing_and_loud_clipped_and_offset_ones():
    for length in (0, 1, 100, 3000):
        report = verify(SAMPLE, np.zeros(length, np.float32))
        assert report.verdict == "cannot-tell"
        assert "shorter than the sound" in report.reason
    for samples in (np.clip(leg(NOTICE, gain_db=16), -1, 1), leg(NOTICE) + np.float32(0.2)):
        assert verdict(NOTICE, samples) == "conforms"


def test_what_cannot_be_verified():
    for samples in (np.zeros((2, 100)), np.array([0.0, np.nan]), np.array([np.inf])):
        assert "one channel of finite numbers" in error_text(RecordingError, verify, SAMPLE, samples)
    assert "cannot be looked for" in error_text(ToneError, Verifier, make_profile(tone(600, on_ms=20_000)))
    assert "more than 120 tones" in error_text(
        ToneError, Verifier, make_profile(tone(600, on_ms=20, off_ms=20), repeat=130)
    )
