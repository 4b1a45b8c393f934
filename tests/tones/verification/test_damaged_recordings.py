"""Sounds that a line or a hook has changed: recordings that must not prove the sound, and recordings that must not
disprove it.
"""

import functools

import G722 as g722
import numpy as np
import pytest
import soxr

from idtone.tones.verification import report as reports
from idtone.tones.verification.fit import Fitted, Fitter
from idtone.tones.verification.part_measurements import stands_alone
from idtone.tones.verification.report import CheckOutcome
from idtone.tones.verification.sound_plan import plan_of
from idtone.tones.verification.verifier import Verifier, received_mask, verdict_of, verdict_of_damaged
from lab import voices
from lab.codecs import CODECS, G722
from lab.g711 import PCMA, PCMU, encode
from lab.tones.profiles import make_profile, tone
from lab.tones.verification.synthetic_legs import NOTICE, RATE_HZ, SAMPLE, leg, synthesise, without_phase

START_MS = 700
"""Time in ms at which `leg` has the sound."""
PULSES = make_profile(tone(400, on_ms=100, off_ms=100), repeat=2)
GLIDE = make_profile(tone(600, on_ms=300, off_ms=60, sweep={"to_hz": [1200]}), tone(1200, on_ms=150))
verifier = functools.cache(Verifier)


def verify(profile, samples):
    return verifier(profile).verify(samples, RATE_HZ)


def at(ms):
    return round(ms * RATE_HZ / 1000)


def bursts_of(profile):
    return [(burst.start_ms, burst.end_ms) for burst in profile.bursts()]


def part(start_ms, end_ms, share, where):
    length_ms = share * (end_ms - start_ms)
    first_ms = start_ms + where * (end_ms - start_ms - length_ms)
    return first_ms, first_ms + length_ms


HALVES = {"first": 0.0, "middle": 0.5, "last": 1.0}
MISSING = {
    **{
        f"70 % of burst {n + 1}, the {name}": (lambda bursts, n=n, where=where: [part(*bursts[n], 0.7, where)])
        for n in (0, 1)
        for name, where in HALVES.items()
    },
    **{
        f"the {name} half of every burst": (lambda bursts, where=where: [part(*each, 0.5, where) for each in bursts])
        for name, where in HALVES.items()
    },
    "the first 80 ms": lambda bursts: [(0, 80)],
    "the last 80 ms": lambda bursts: [(bursts[-1][1] - 80, bursts[-1][1])],
}


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("profile", [SAMPLE, NOTICE, PULSES], ids=["sample", "notice", "pulses"])
def test_a_sound_that_lacks_a_part_never_conforms(profile, missing):
    samples = leg(profile)
    for first_ms, end_ms in MISSING[missing](bursts_of(profile)):
        samples[at(START_MS + first_ms) : at(START_MS + end_ms)] = 0
    report = verify(profile, samples)
    assert report.verdict != "conforms"
    assert all(finding.failed for finding in report.findings)


def through(payload_type, *pieces):
    """The audio that a telephone plays. The sender's encoder starts anew with each piece, but the telephone's decoder
    does not.
    """
    frames = []
    for piece in pieces:
        if payload_type == G722:
            frames.append(bytes(g722.G722(16000, 64000).encode(soxr.resample(piece, RATE_HZ, 16000))))
        else:
            frames.append(encode(piece, payload_type))
    return np.asarray(CODECS[payload_type].decode(frames), np.float32) / 32768


def as_sent(profile):
    """The sound in 16 bits, without silence around it, padded to complete packets."""
    samples = leg(profile, at_ms=0, after_ms=0, apart_ms=0, noise_dbov=-90)
    return np.round(np.pad(samples, (0, -len(samples) % 160)) * 32768).astype(np.int16)


@pytest.mark.parametrize("spoken_ms", [0, 500])
@pytest.mark.parametrize("payload_type", [PCMU, PCMA, G722])
@pytest.mark.parametrize("profile", [SAMPLE, NOTICE], ids=["sample", "notice"])
def test_a_whole_sound_at_the_very_beginning_conforms_also_if_a_voice_follows_at_once(profile, payload_type, spoken_ms):
    report = verify(profile, through(payload_type, np.append(as_sent(profile), voices.CALLER[: at(spoken_ms)])))
    assert report.verdict == "conforms", report.reason
    assert report.findings[0].start_ms == pytest.approx(2 if payload_type == G722 else 0, abs=3)


RING_BACK = np.round(8000 * np.sin(2 * np.pi * 400 * np.arange(320) / RATE_HZ)).astype(np.int16)
"""Ring-back of two packets."""


def test_a_sound_that_a_codec_began_much_too_loud_conforms():
    """After ring-back, Asterisk encodes the sound in G.722 with a new encoder. The decoder keeps the state of the old
    one.
    """
    samples = through(G722, RING_BACK, as_sent(SAMPLE))
    assert np.abs(samples[at(45) : at(60)]).max() > 5 * np.abs(samples[at(120) : at(140)]).max()
    report = verify(SAMPLE, samples)
    assert report.verdict == "conforms", report.reason
    assert report.findings[0].start_ms == pytest.approx(40, abs=5)
    assert report.findings[0].level_dbm0 == pytest.approx(-16, abs=1)


COVERS = {
    "noise": lambda times: np.random.default_rng(3).standard_normal(len(times)),
    "a lower tone": lambda times: np.sin(2 * np.pi * 470 * times),
    "a tone much higher": lambda times: np.sin(2 * np.pi * 1300 * times),
    "a voice": lambda times: voices.CALLER[: len(times)] / 8000,
}


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("length_ms", [40, 80])
def test_another_loud_sound_in_place_of_the_start_of_a_burst_never_conforms(cover, length_ms):
    samples = leg(SAMPLE)
    first_ms, _ = bursts_of(SAMPLE)[0]
    place, times = at(START_MS + first_ms), np.arange(at(length_ms)) / RATE_HZ
    samples[place : place + len(times)] = 0.7 * COVERS[cover](times)
    assert verify(SAMPLE, samples).verdict != "conforms"


def test_edges_that_cannot_be_measured_are_unknown():
    samples = leg(SAMPLE)
    first_ms, end_ms = bursts_of(SAMPLE)[1]
    # Equally loud noise in the band of the second burst.
    length = at(end_ms - first_ms) + at(60)
    noise = np.convolve(np.random.default_rng(2).standard_normal(length + 200), np.hanning(201), "valid")[:length]
    noise *= np.sin(2 * np.pi * 650 * np.arange(length) / RATE_HZ)
    begin = at(START_MS + first_ms - 30)
    samples[begin : begin + length] += 0.08 * noise / np.sqrt(np.mean(noise**2))
    (finding,) = verify(SAMPLE, samples).findings
    assert {test.name: test.outcome for test in finding.tests}["edges"] != "passed"
    assert finding.verdict != "conforms"


def replayed(profile, first_ms, end_ms, gap_ms):
    """A recording with a part of the sound and then the complete sound."""
    sound = synthesise(profile, RATE_HZ)[: at(bursts_of(profile)[-1][1])]
    silence, noise = np.zeros(at(600)), np.random.default_rng(1)
    samples = np.concatenate([silence, sound[at(first_ms) : at(end_ms)], np.zeros(at(gap_ms)), sound, silence])
    return (samples + 1e-3 * noise.standard_normal(len(samples))).astype(np.float32)


@pytest.mark.parametrize(
    ("profile", "first_ms", "end_ms"),
    [
        *((SAMPLE, 0, end_ms) for end_ms in (60, 120, 180, 260, 300, 400, 440)),
        *((SAMPLE, first_ms, 440) for first_ms in (80, 140, 260)),
        *((NOTICE, 0, end_ms) for end_ms in (100, 220, 300, 500)),
    ],
)
@pytest.mark.parametrize("gap_ms", [20, 150])
def test_a_sound_that_the_hook_played_again_is_recognised(profile, first_ms, end_ms, gap_ms):
    report = verify(profile, replayed(profile, first_ms, end_ms, gap_ms))
    assert report.verdict in ("conforms", "present"), report.reason


def test_a_part_that_was_played_before_is_named():
    report = verify(SAMPLE, replayed(SAMPLE, 0, 300, 25))
    assert report.verdict == "present"
    assert report.reason == "the sound was played before too, at least a part of it, at 0.60 s"


@pytest.mark.parametrize("count", [3, 4])
def test_a_longer_row_of_bursts_is_no_replay(count):
    assert verify(PULSES, leg(make_profile(tone(400, on_ms=100, off_ms=100), repeat=count))).verdict == "absent"


def test_a_sound_that_is_a_little_slow_leaves_it_open_and_a_slow_one_is_another():
    def slower(factor):
        segments = [
            each.model_copy(update={"on_ms": each.on_ms * factor, "off_ms": each.off_ms * factor})
            for each in SAMPLE.segments
        ]
        return leg(SAMPLE.model_copy(update={"segments": tuple(segments)}))

    verdicts = {factor: verify(SAMPLE, slower(factor)).verdict for factor in (0.88, 0.925, 1.03, 1.075, 1.12)}
    assert list(verdicts.values()) == ["absent", "cannot-tell", "conforms", "cannot-tell", "absent"]


def moved(burst, by_ms):
    """The sample's sound with one burst shifted. A buffer that repeats or skips a packet before the burst has this
    effect.
    """
    samples = leg(SAMPLE, noise_dbov=-90)
    (first_ms, _), end_ms = bursts_of(SAMPLE)[burst], SAMPLE.duration_ms
    place, end = at(START_MS + first_ms - 5), at(START_MS + end_ms + 5)
    piece = samples[place:end].copy()
    samples[place : end + at(by_ms)] = 0
    samples[place + at(by_ms) : end + at(by_ms)] += piece
    return samples


@pytest.mark.parametrize("by_ms", [60, 80])
def test_a_burst_that_comes_too_late_leaves_it_open(by_ms):
    report = verify(SAMPLE, moved(2, by_ms))
    assert report.verdict == "cannot-tell"
    assert report.reason.endswith("losses, echo or an adaptive buffer can cause that")


def test_a_gap_in_the_first_burst_leaves_it_open():
    """Asterisk sends five packets and then none for 130 ms, because the machine is busy."""
    samples = as_sent(SAMPLE) / np.float32(32768)
    report = verify(SAMPLE, np.concatenate([samples[: at(100)], np.zeros(at(130), np.float32), samples[at(100) :]]))
    assert report.verdict == "cannot-tell"
    assert "something at 0.13 s is like the sound, but burst 1 is missing" in report.reason


def test_a_burst_that_a_decoder_muted_leaves_it_open():
    samples = leg(SAMPLE)
    first_ms, end_ms = bursts_of(SAMPLE)[2]
    samples[at(START_MS + first_ms) : at(START_MS + end_ms)] *= 10 ** (-30 / 20)
    report = verify(SAMPLE, samples)
    assert report.verdict == "cannot-tell"
    assert "burst 3 is missing" in report.reason


QUICK = make_profile(tone(880, on_ms=50, off_ms=50), repeat=5)


@pytest.mark.parametrize(("muted_db", "verdict"), [(-30, "cannot-tell"), (-90, "absent")])
def test_a_silent_burst_beside_one_that_a_decoder_muted_leaves_it_open(muted_db, verdict):
    """Loss can have removed both bursts. If both are completely silent, they were never sent."""
    samples = leg(QUICK)
    for number, by_db in ((0, -90), (2, muted_db)):
        first_ms, end_ms = bursts_of(QUICK)[number]
        samples[at(START_MS + first_ms) : at(START_MS + end_ms)] *= 10 ** (by_db / 20)
    assert verify(QUICK, samples).verdict == verdict


@pytest.mark.parametrize(("burst", "verdict"), [(0, "absent"), (2, "cannot-tell"), (4, "absent")])
def test_a_short_silent_burst_between_others_leaves_it_open(burst, verdict):
    """Three lost packets remove the whole burst. A sound without its first or last burst is another, shorter sound."""
    samples = leg(QUICK)
    first_ms, end_ms = bursts_of(QUICK)[burst]
    samples[at(START_MS + first_ms) : at(START_MS + end_ms)] *= 10 ** (-90 / 20)
    assert verify(QUICK, samples).verdict == verdict


def test_a_further_burst_that_the_line_damaged_is_not_overlooked():
    samples = leg(make_profile(tone(400, on_ms=100, off_ms=100), repeat=3))
    first_ms, end_ms = bursts_of(PULSES)[1]
    place, length = at(START_MS + first_ms + 200), at(end_ms - first_ms)
    noise = np.convolve(np.random.default_rng(2).standard_normal(length + 200), np.hanning(201), "valid")[:length]
    noise *= np.sin(2 * np.pi * 400 * np.arange(length) / RATE_HZ)
    own = np.sqrt(np.mean(samples[place : place + length] ** 2))
    samples[place : place + length] += own / 2 * noise / np.sqrt(np.mean(noise**2))
    report = verify(PULSES, samples)
    assert (report.verdict, report.reason) == ("present", "something like a damaged further burst is at 1.10 s")


@pytest.mark.parametrize(("share", "verdict"), [(0.4, "present"), (0.0, "conforms")])
def test_what_loss_left_of_a_further_burst_is_not_overlooked(share, verdict):
    """The rest is a fifth as loud, and only as long as the burst's middle packets. Nothing can be known of a burst that
    is completely silent.
    """
    samples = leg(make_profile(tone(400, on_ms=100, off_ms=100), repeat=3), noise_dbov=-90)
    first, length = at(START_MS + 400), at(100)
    kept = samples[first + length // 3 : first + length // 3 + round(share * length)] / 5
    samples[first - at(10) : first + length + at(10)] = 0
    samples[first + length // 3 :][: len(kept)] = kept
    assert verify(PULSES, samples).verdict == verdict


def in_a_hall(samples, seed):
    """The direct sound, with reverberation of the same power that decays by 60 dB in 0.6 s."""
    length = at(600)
    response = np.random.default_rng(seed).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response[:16] = 0
    response /= np.linalg.norm(response)
    response[0] = 1
    return np.convolve(samples, response)[: len(samples)].astype(np.float32)


CHORD = make_profile(tone(620, 860, on_ms=150, off_ms=80, ramp_ms=10), tone(620, 860, on_ms=250, ramp_ms=10))
ONE = make_profile(tone(1004, on_ms=500, ramp_ms=10))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("profile", [SAMPLE, PULSES, CHORD, ONE], ids=["sample", "pulses", "chord", "one"])
def test_a_room_that_fills_the_pauses_does_not_make_it_another_sound(profile, seed):
    assert verify(profile, in_a_hall(leg(profile), seed)).verdict != "absent"


@pytest.mark.parametrize(("profile", "seed"), [(PULSES, 1), (ONE, 1), (QUICK, 2)], ids=["edges", "one", "pauses"])
def test_what_a_room_explains_does_not_leave_it_open(profile, seed):
    """The room's tail lengthens the bursts and fills the pauses."""
    report = verify(profile, in_a_hall(leg(profile), seed))
    assert report.verdict == "present"
    assert report.findings[0].score > 12
    assert any(test.outcome == "failed" and test.explained for test in report.findings[0].tests)


def test_a_room_explains_nothing_where_the_tone_is_there_before_the_sound():
    """Ring-back comes before the sound, so the sound may be a part of a pulsating tone."""
    samples = in_a_hall(leg(ONE), 1)
    ringing = make_profile(tone(1004, on_ms=600, modulation={"rate_hz": 16, "depth": 0.85}))
    samples[at(START_MS - 660) : at(START_MS - 60)] += synthesise(ringing, RATE_HZ).astype(np.float32)
    assert verify(ONE, samples).verdict == "cannot-tell"


@pytest.mark.parametrize(
    ("lost_ms", "loud_ms", "is_alone"),
    [
        (None, None, True),
        ((-250, -150), None, False),
        ((-20, 20), None, True),
        ((500, 600), None, False),
        (None, (-150, -50), False),
        (None, (630, 655), False),
        (None, (700, 800), True),
    ],
)
def test_a_sound_is_alone_where_it_is_quiet_around_it_and_that_is_known(lost_ms, loud_ms, is_alone):
    """The sound is at 300 ms. It must be quiet from 250 ms before it to 360 ms after it."""
    samples = leg(PULSES)
    heard = None
    if lost_ms:
        heard = received_mask(len(samples), [tuple(at(START_MS + each) for each in lost_ms)])
        samples *= heard
    if loud_ms:
        first, end = (at(START_MS + each) for each in loud_ms)
        samples[first:end] += np.sin(2 * np.pi * 400 * np.arange(end - first) / RATE_HZ)
    fitted, _ = next(verifier(PULSES).fitted_places(samples, heard))
    assert fitted.start_s == pytest.approx(START_MS / 1000, abs=0.01)
    assert stands_alone(Fitter(plan_of(PULSES)).baseband(samples, heard, fitted.first), fitted) is is_alone


def test_a_room_that_fills_what_is_missing_does_not_make_it_conform():
    samples = leg(NOTICE)
    end_ms = START_MS + bursts_of(NOTICE)[-1][1]
    samples[at(end_ms - 50) : at(end_ms)] = 0
    report = verify(NOTICE, in_a_hall(samples, 6))
    assert report.verdict == "present"
    assert report.reason == "the tones die away slowly, as in a room, which can fill what is missing of a burst"


@pytest.mark.parametrize("length_ms", [440, 560])
def test_a_single_burst_of_another_length_leaves_it_open(length_ms):
    """A lost packet at the burst's edge would have the same effect."""
    assert verify(ONE, leg(make_profile(tone(1004, on_ms=length_ms, ramp_ms=10)))).verdict == "cannot-tell"


def test_a_further_burst_beside_a_damaged_sound_leaves_it_open():
    """The further burst may be the sound's first one, if the sound was found one burst too late."""
    row = [(520, 120), (650, 120), (1040, 160), (1040, 160)]
    samples = leg(make_profile(*(tone(hz, on_ms=on_ms, off_ms=20, ramp_ms=10) for hz, on_ms in row)))
    assert verify(SAMPLE, samples).verdict == "absent"
    (first_ms, end_ms), *_ = bursts_of(SAMPLE)[1:]
    samples[at(START_MS + first_ms) : at(START_MS + end_ms)] *= 10 ** (-30 / 20)
    assert verify(SAMPLE, samples).verdict == "cannot-tell"


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_sound_of_which_only_the_power_is_left_leaves_it_open(seed):
    samples = without_phase(leg(NOTICE), np.random.default_rng(seed))
    assert not list(verifier(NOTICE).fitted_places(samples))
    report = verify(NOTICE, samples)
    assert report.verdict == "cannot-tell"
    assert report.reason.endswith("losses, echo or an adaptive buffer can cause that")


def test_such_a_sound_among_other_sounds_is_absent():
    """In a sound that a line destroyed, its tones are almost alone. Speech and music have power at other frequencies
    too.
    """
    samples = without_phase(leg(NOTICE), np.random.default_rng(0))
    samples += np.resize(voices.CALLER, len(samples)) / np.float32(32768)
    assert verify(NOTICE, samples).verdict == "absent"


def outcome(name, outcome, certain=True, explained=False):
    return reports.Test(name, CheckOutcome(outcome), "says", certain, explained)


EXPLAINED = outcome("edges", "failed", certain=False, explained=True)


@pytest.mark.parametrize(
    ("tests", "score", "verdict"),
    [
        ([outcome("edges", "passed")], 4, "conforms"),
        ([outcome("edges", "passed")], 2, "cannot-tell"),
        ([outcome("edges", "unknown")], 4, "present"),
        ([outcome("edges", "unknown")], 2, "cannot-tell"),
        ([outcome("edges", "failed", certain=False)], 1, "cannot-tell"),
        ([outcome("edges", "failed", certain=False)], -1, "absent"),
        ([EXPLAINED], 13, "present"),
        ([EXPLAINED], 11, "cannot-tell"),
        ([EXPLAINED, outcome("cadence", "failed", certain=False)], 50, "cannot-tell"),
        ([outcome("frequency", "failed")], 50, "absent"),
        ([outcome("frequency", "failed", certain=False)], 2, "absent"),
        ([outcome("frequency", "failed", certain=False)], 4, "cannot-tell"),
        ([outcome("edges", "failed", certain=False), outcome("further", "failed")], 50, "absent"),
        ([outcome("cadence", "failed", certain=False), outcome("pauses", "failed", certain=False)], 4, "cannot-tell"),
    ],
)
def test_the_verdict_on_a_place(tests, score, verdict):
    assert verdict_of(tests, score, threshold=3) == verdict


OPEN = outcome("bursts", "failed", certain=False)


@pytest.mark.parametrize(
    ("tests", "score", "is_alone", "true_pitch", "verdict"),
    [
        ([outcome("edges", "passed")], 13, True, False, "present"),
        ([outcome("edges", "passed")], 13, False, True, "cannot-tell"),
        ([outcome("edges", "passed")], 11, True, True, "cannot-tell"),
        ([OPEN], -6.9, True, True, "cannot-tell"),
        ([OPEN], -7.1, True, True, "absent"),
        ([OPEN], -6.9, False, True, "absent"),
        ([OPEN], -6.9, True, False, "absent"),
        ([OPEN, outcome("level", "failed")], -6.9, True, True, "absent"),
        ([outcome("edges", "unknown")], -4, True, False, "absent"),
        ([outcome("edges", "unknown")], -2, True, False, "cannot-tell"),
        ([OPEN], -2, True, False, "absent"),
    ],
)
def test_the_verdict_on_a_place_where_bursts_may_be_missing(tests, score, is_alone, true_pitch, verdict):
    assert verdict_of_damaged(tests, score, threshold=3, grey=-3, alone=is_alone, true_pitch=true_pitch) == verdict


@pytest.mark.parametrize(("profile", "exact"), [(PULSES, 0.001), (GLIDE, 0.001 + 600 / 0.3 / 900 * 0.004)])
def test_a_glide_moved_by_a_codec_still_has_its_own_pitch(profile, exact):
    """The codec moves the glide by 4 ms: by 8 Hz at its middle frequency of 900 Hz."""
    fits = [Fitted(0, 1, sign * share * exact, 0, 0, ()) for sign in (1, -1) for share in (0.99, 1.01)]
    assert [verifier(profile).has_true_pitch(each) for each in fits] == [True, False] * 2


def test_a_sound_of_which_a_decoder_left_little_at_its_own_pitch_is_open():
    """Two packets of five are 20 dB quieter, so the odds are too low for any other place to be open."""
    profile = make_profile(
        tone(1250, on_ms=300, off_ms=100, modulation={"rate_hz": 20, "depth": 0.8}), tone(1250, on_ms=200)
    )
    chance = np.random.default_rng(8)
    sound = synthesise(profile, RATE_HZ).copy()
    for first in range(0, len(sound), at(20)):
        if chance.random() < 0.4:
            sound[first : first + at(20)] *= 0.1
    quiet = np.zeros(RATE_HZ)
    samples = np.concatenate([quiet, sound, quiet])
    samples += 0.01 * chance.standard_normal(len(samples))
    report = verify(profile, samples.astype(np.float32))
    assert report.verdict == "cannot-tell"
    assert report.findings[0].score < -3.06
