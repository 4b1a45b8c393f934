from __future__ import annotations

import numpy as np
import pytest

from idtone.errors import RecordingError, ToneError
from idtone.tones.profile_library import load_library
from idtone.tones.verification.report import ToneVerdict
from idtone.tones.verification.verify import Verifier

from ..profiles import make, tone
from .legs import RATE_HZ, leg, noise_for, without

SHIPPED = load_library()
PULSES = make(tone(400, on_ms=100, off_ms=100), repeat=2)
KINDS = {
    "notice": SHIPPED["notice"],
    "sample": SHIPPED["sample"],
    "two pulses": PULSES,
    "chord": make(tone(620, 860, on_ms=200, off_ms=80), tone(620, 860, on_ms=250)),
    "close tones": make(tone(600, 640, on_ms=250, off_ms=80), tone(600, 640, on_ms=250)),
    "trembling": make(tone(1250, on_ms=300, off_ms=100, modulation={"rate_hz": 20, "depth": 0.8}), tone(1250)),
    "sweep": make(tone(600, on_ms=300, off_ms=60, sweep={"to_hz": [1200]}), tone(1200, on_ms=150)),
    "stairs": make(tone(600, on_ms=300, off_ms=60, sweep={"to_hz": [1200], "steps": 3}), tone(1200, on_ms=150)),
    "one": make(tone(1004, on_ms=500)),
    "two levels": make(tone(700, on_ms=150, off_ms=60), tone(950, on_ms=200, level_dbm0=-22)),
}
VERIFIERS = {}


def verify(profile, samples, sample_rate_hz=RATE_HZ, lost=()):
    key = profile.model_dump_json()
    if key not in VERIFIERS:
        VERIFIERS[key] = Verifier(profile)
    return VERIFIERS[key].verify(samples, sample_rate_hz, lost)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("noise_dbov", [-90, -50])
def test_the_sound_conforms_and_is_measured(name, noise_dbov):
    report = verify(KINDS[name], leg(KINDS[name], gain_db=-4, noise_dbov=noise_dbov))
    assert report.verdict is ToneVerdict.CONFORMS, report.reason
    (finding,) = report.findings
    assert finding.start_ms == pytest.approx(700, abs=3)
    assert finding.end_ms == pytest.approx(700 + KINDS[name].duration_ms - KINDS[name].segments[-1].off_ms, abs=3)
    assert abs(finding.frequency_error_percent) < 0.05
    assert abs(finding.cadence_error_percent) < 1
    assert finding.failed == ()
    assert finding.score > report.threshold


@pytest.mark.parametrize("gain_db", [-12, -4, 3])
def test_the_level_is_that_of_the_recording(gain_db):
    finding = verify(SHIPPED["sample"], leg(SHIPPED["sample"], gain_db=gain_db)).findings[0]
    assert finding.level_dbm0 == pytest.approx(-16 + gain_db, abs=0.15)
    assert [burst.level_dbm0 for burst in finding.bursts] == pytest.approx([-16 + gain_db] * 3, abs=0.3)


def test_steps_are_one_burst_with_one_level():
    finding = verify(KINDS["stairs"], leg(KINDS["stairs"])).findings[0]
    assert finding.level_dbm0 == pytest.approx(-16, abs=0.2)
    assert (finding.bursts[0].start_ms, finding.bursts[0].end_ms) == pytest.approx((700, 1000), abs=5)


def test_a_glide_and_a_tone_after_it_agree_on_the_frequency():
    sound = make(tone(500, on_ms=400, off_ms=50, sweep={"to_hz": [1500]}), tone(1500, on_ms=300))
    finding = verify(sound, leg(sound)).findings[0]
    assert finding.verdict is ToneVerdict.CONFORMS
    assert abs(finding.frequency_error_percent) < 0.02
    assert finding.start_ms == pytest.approx(700, abs=1)
    higher = make(tone(508, on_ms=400, off_ms=50, sweep={"to_hz": [1524]}), tone(1524, on_ms=300))
    assert verify(sound, leg(higher)).verdict is ToneVerdict.ABSENT


def test_each_burst_is_reported_with_its_edges():
    finding = verify(SHIPPED["sample"], leg(SHIPPED["sample"])).findings[0]
    assert [burst.start_ms for burst in finding.bursts] == pytest.approx([700, 840, 980], abs=2)
    assert [burst.end_ms for burst in finding.bursts] == pytest.approx([820, 960, 1140], abs=2)
    assert all(max(abs(burst.start_error_ms), abs(burst.end_error_ms)) <= 2 for burst in finding.bursts)
    assert all(burst.heard == 1 for burst in finding.bursts)


@pytest.mark.parametrize("name", ["notice", "sample", "chord", "one"])
def test_noise_as_loud_as_the_sound_does_not_hide_it(name):
    profile = KINDS[name]
    reports = [verify(profile, leg(profile, noise_dbov=noise_for(profile, -3), seed=seed)) for seed in range(5)]
    assert [report.verdict for report in reports] == [ToneVerdict.CONFORMS] * 5


@pytest.mark.parametrize("sample_rate_hz", [11025, 16000, 48000])
def test_any_rate_is_accepted(sample_rate_hz):
    samples = leg(SHIPPED["notice"], sample_rate_hz=sample_rate_hz)
    report = verify(SHIPPED["notice"], samples, sample_rate_hz)
    assert report.verdict is ToneVerdict.CONFORMS
    assert report.findings[0].start_ms == pytest.approx(700, abs=2)
    assert report.duration_ms == pytest.approx(1000 * len(samples) / sample_rate_hz)


def test_a_sound_at_the_very_beginning_and_end_of_a_recording_is_found():
    samples = leg(SHIPPED["sample"], at_ms=0, after_ms=0, apart_ms=0)
    assert verify(SHIPPED["sample"], samples).verdict is ToneVerdict.CONFORMS


def test_every_occurrence_is_found():
    report = verify(SHIPPED["sample"], leg(*[SHIPPED["sample"]] * 3, apart_ms=1500))
    assert [finding.verdict for finding in report.findings] == [ToneVerdict.CONFORMS] * 3
    assert sorted(finding.start_ms for finding in report.findings) == pytest.approx([700, 2640, 4580], abs=2)


def changed(profile, *, frequency=1.0, time=1.0):
    segments = [
        {
            "frequencies_hz": tuple(f * frequency for f in segment.frequencies_hz),
            "on_ms": segment.on_ms * time,
            "off_ms": segment.off_ms * time,
            "ramp_ms": segment.ramp_ms,
        }
        for segment in profile.segments
    ]
    return make(*segments, repeat=profile.repeat)


NEAR_MISSES = {
    "2 % higher": changed(SHIPPED["sample"], frequency=1.02),
    "2 % lower": changed(SHIPPED["sample"], frequency=0.98),
    "12 % slower": changed(SHIPPED["sample"], time=1.12),
    "12 % faster": changed(SHIPPED["sample"], time=0.88),
    "without its first burst": make(*[tone(f, on_ms=ms, ramp_ms=10) for f, ms in ((650, 120), (1040, 160))]),
    "without its last burst": make(*[tone(f, on_ms=120, off_ms=20, ramp_ms=10) for f in (520, 650)]),
    "with one more burst": make(
        *[tone(f, on_ms=ms, off_ms=20, ramp_ms=10) for f, ms in ((520, 120), (650, 120), (1040, 160), (1040, 160))]
    ),
    "backwards": make(*[tone(f, on_ms=120, off_ms=20, ramp_ms=10) for f in (1040, 650, 520)]),
    "the other shipped one": SHIPPED["notice"],
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_similar_sound_does_not_conform(name):
    assert verify(SHIPPED["sample"], leg(NEAR_MISSES[name])).verdict is ToneVerdict.ABSENT


@pytest.mark.parametrize("bursts", [1, 3, 4])
def test_pulses_are_counted(bursts):
    assert verify(PULSES, leg(make(tone(400, on_ms=100, off_ms=100), repeat=bursts))).verdict is ToneVerdict.ABSENT


def test_a_tone_that_continues_through_the_pause_is_not_two_pulses():
    assert verify(PULSES, leg(make(tone(400, on_ms=300)))).verdict is ToneVerdict.ABSENT


def test_a_near_miss_is_reported_with_its_error():
    report = verify(SHIPPED["sample"], leg(NEAR_MISSES["12 % slower"]))
    assert "the cadence is 1" in report.reason
    assert "slower; 6 % are allowed" in report.reason


def test_the_profile_sets_the_tolerance():
    strict = make(tone(600, on_ms=200), tone(900, on_ms=200), tolerance={"frequency_percent": 0.3})
    loose = make(tone(600, on_ms=200), tone(900, on_ms=200), tolerance={"frequency_percent": 2.5})
    heard = leg(make(tone(606, on_ms=200), tone(909, on_ms=200)))
    assert verify(strict, heard).verdict is ToneVerdict.ABSENT
    assert verify(loose, heard).verdict is ToneVerdict.CONFORMS


def test_a_level_is_judged_where_the_profile_asks():
    judged = make(tone(600, on_ms=200), tone(900, on_ms=200), tolerance={"level_db": 3})
    assert verify(judged, leg(judged, gain_db=-2)).verdict is ToneVerdict.CONFORMS
    report = verify(judged, leg(judged, gain_db=-5))
    assert report.verdict is ToneVerdict.ABSENT
    assert "3 dB are allowed" in report.reason


def test_a_burst_that_is_lost_leaves_the_sound_present():
    lost = [(round(0.97 * RATE_HZ), round(1.16 * RATE_HZ))]
    report = verify(SHIPPED["sample"], without(leg(SHIPPED["sample"]), lost), lost=lost)
    assert report.verdict is ToneVerdict.PRESENT
    assert "burst 3 is partly or completely lost in the recording" in report.reason
    assert report.lost_ms == pytest.approx(190)
    # If the same silence is not known as a loss, the burst is missing.
    assert verify(SHIPPED["sample"], without(leg(SHIPPED["sample"]), lost)).verdict is ToneVerdict.ABSENT


def test_single_lost_packets_do_not_matter():
    lost = [(round(at * RATE_HZ), round((at + 0.02) * RATE_HZ)) for at in (0.74, 0.86, 1.05)]
    assert verify(SHIPPED["sample"], without(leg(SHIPPED["sample"]), lost), lost=lost).verdict is ToneVerdict.CONFORMS


def test_edges_of_a_half_lost_burst_are_not_reported():
    """Five packets are missing, most of them in the second burst."""
    lost = [(round(0.86 * RATE_HZ), round(0.96 * RATE_HZ))]
    report = verify(SHIPPED["sample"], without(leg(SHIPPED["sample"]), lost), lost=lost)
    assert report.verdict is ToneVerdict.PRESENT
    (finding, *_) = report.findings
    (edges,) = [test.says for test in finding.tests if test.name == "edges"]
    partly = [burst for burst in finding.bursts if burst.heard < 0.95]
    assert min(burst.heard for burst in partly) < 0.7
    assert {(burst.start_error_ms, burst.end_error_ms) for burst in partly} == {(None, None)}
    assert f"the largest edge error of {len(finding.bursts) - len(partly)} bursts that can be measured" in edges


def test_too_many_losses_give_cannot_tell():
    lost = [(round(0.6 * RATE_HZ), round(1.3 * RATE_HZ))]
    report = verify(SHIPPED["sample"], without(leg(SHIPPED["sample"]), lost), lost=lost)
    assert report.verdict is ToneVerdict.CANNOT_TELL
    assert "are lost" in report.reason


@pytest.mark.parametrize("samples", [np.zeros(RATE_HZ * 3, np.float32), leg(noise_dbov=-20)], ids=["silence", "noise"])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_found_in_silence_and_noise(name, samples):
    report = verify(KINDS[name], samples)
    assert (report.verdict, report.findings) == (ToneVerdict.ABSENT, ())


@pytest.mark.parametrize("length", [0, 1, 100, 3000])
def test_a_recording_shorter_than_the_sound_gives_cannot_tell(length):
    report = verify(SHIPPED["sample"], np.zeros(length, np.float32))
    assert report.verdict is ToneVerdict.CANNOT_TELL
    assert "shorter than the sound" in report.reason


def test_loud_clipped_and_offset_recordings_do_not_confuse():
    loud = np.clip(leg(SHIPPED["notice"], gain_db=16), -1, 1)
    assert verify(SHIPPED["notice"], loud).verdict is ToneVerdict.CONFORMS
    assert verify(SHIPPED["notice"], leg(SHIPPED["notice"]) + np.float32(0.2)).verdict is ToneVerdict.CONFORMS


@pytest.mark.parametrize("samples", [np.zeros((2, 100)), np.array([0.0, np.nan]), np.array([np.inf])])
def test_samples_of_the_wrong_kind_are_refused(samples):
    with pytest.raises(RecordingError, match="one channel of finite numbers"):
        verify(SHIPPED["sample"], samples)


def test_a_profile_too_long_for_calls_is_refused():
    with pytest.raises(ToneError, match="cannot be looked for"):
        Verifier(make(tone(600, on_ms=20_000)))
    with pytest.raises(ToneError, match="more than 120 tones"):
        Verifier(make(tone(600, on_ms=20, off_ms=20), repeat=130))


def test_the_report_states_its_false_alarms():
    report = verify(SHIPPED["sample"], leg(SHIPPED["sample"]))
    assert 0 < report.false_alarms_per_hour < 0.1


def test_every_test_is_reported():
    finding = verify(SHIPPED["sample"], leg(SHIPPED["sample"])).findings[0]
    assert [test.name for test in finding.tests] == [
        "frequency", "cadence", "bursts", "edges", "further", "pauses", "level",
    ]  # fmt: skip
    assert {test.outcome for test in finding.tests} == {"passed"}
