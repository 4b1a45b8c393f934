import hashlib
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import ToneError
from idtone.tones.making.amplitude import amplitude
from idtone.tones.making.synthesis import synthesise, to_pcm16
from idtone.tones.making.waveform import pcm_blocks, waveform
from lab.tones.error_text import error_text
from lab.tones.levels import level_dbm0, slice_ms
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import recording_of, write

TREMBLING = {"rate_hz": 100.0, "depth": 1.0}
LEVELLED = [
    tone(400),
    tone(600, 1000),
    tone(600, 1000, 1350),
    tone(400, modulation={"rate_hz": 20, "depth": 1}),
    tone(400, modulation={"rate_hz": 10, "depth": 0.22}),
]
"""Profiles that all have whole periods in 100 ms."""


@pytest.mark.parametrize("segment", LEVELLED)
def test_the_level_of_a_burst_is_exact_and_survives_16_bits(segment):
    # At -40 dBm0 the peak is 228 steps; half a step is 0.02 dB.
    for level, tolerance_db in ((-4.0, 0.005), (-16.0, 0.005), (-40.0, 0.02)):
        for rate_hz in (8000, 16000, 44100, 48000):
            samples = synthesise(make_profile(segment, level_dbm0=level), rate_hz)
            assert level_dbm0(slice_ms(samples, rate_hz, 50, 150) * 32768) == pytest.approx(level, abs=0.0002)
            assert level_dbm0(slice_ms(to_pcm16(samples), rate_hz, 50, 150)) == pytest.approx(level, abs=tolerance_db)


def test_the_level_of_a_burst_is_its_own_and_of_its_law():
    assert amplitude(3.14) == 1
    for law, peak in (("a-law", 22827.06), ("mu-law", 22656.6)):
        samples = synthesise(make_profile(tone(1000), tone(1000, level_dbm0=-10), law=law), 8000) * 32768
        assert np.abs(samples[400:1200]).max() == pytest.approx(peak * 10 ** (-16 / 20), rel=1e-5)
        assert np.abs(samples[2000:2800]).max() == pytest.approx(peak * 10 ** (-10 / 20), rel=1e-5)


def test_samples_are_rounded_to_the_nearest_and_refused_beyond_full_scale():
    samples = np.array([-32768, -2.5, -0.6, 0.4, 0.5, 1.5, 32767.4]) / 32768
    assert to_pcm16(samples).tolist() == [-32768, -2, -1, 0, 0, 2, 32767]
    for peak in (1.0, -1.001, float("nan"), float("inf")):
        assert "full scale" in error_text(ToneError, to_pcm16, np.array([0.0, peak]))
    assert "too low" in error_text(ToneError, synthesise, make_profile(tone(600)), 7999)
    loudest = make_profile(tone(2000, ramp_ms=0, modulation=TREMBLING), level_dbm0=-1.2)  # the bound is -1.1199 dBm0
    assert np.abs(to_pcm16(synthesise(loudest, 48000))).max() > 32000


HOUR_MS = 3_600_000
RICH = {
    "tones": make_profile(
        tone(400, 1234.5, off_ms=33.3),
        tone(3400, on_ms=77.7, modulation={"rate_hz": 17, "depth": 0.9}, ramp_ms=20),
        repeat=3,
    ),
    "long": make_profile(tone(400, 1234.567, on_ms=4321.1, ramp_ms=900, modulation={"rate_hz": 16.7, "depth": 0.8})),
    "sweeps": make_profile(
        tone(400, 2000.5, on_ms=3000, off_ms=10, level_dbm0=-20, sweep={"to_hz": [3000, 300]}),
        tone(700.1, on_ms=2500.3, level_dbm0=-3, sweep={"to_hz": [1900], "steps": 7}),
        law="mu-law",
    ),
    "steady": make_profile(tone(400.3, 1234.5, on_ms=25_000.3, modulation={"rate_hz": 16.7, "depth": 0.8})),
    "odd cycle": make_profile(tone(600, on_ms=50.06, off_ms=49.9, ramp_ms=0), repeat=300),
    "dithered": make_profile(tone(1004, on_ms=500, off_ms=100), tone(on_ms=50), dither_seed=2**64 - 1, level_dbm0=-40),
}
SHA256 = {
    "tones": "eb5e2c48d8e005d0d765d3944e6ab004e6529cd3d6dd04e1800fd594121dcc94",
    "long": "befcf4ed99a068a91f6c8e697f966ce74cc462a0231f3d1529dc7e34d5703052",
    "sweeps": "c5adaf4239547f52c7bd2c3107160d88792f6524d8508a8517c28806b8f0aa28",
    "steady": "4129839dd1fb9ddf7bb4b0bff08686f41fdaecaa0a08921dbb9489cc6a427535",
    "odd cycle": "f3ee310d74dd3280d572e7ddf2b3155911dbe0571a22a154a86c28b3457877db",
    "dithered": "49efb4f4a3ada5dbf0ff01f86295daddb4c18c002a1135afe4b02c558c7e005f",
}
"""Profile → digest of its samples at 8000, 16000 and 44100 Hz, concatenated."""


def pcm_of(profile, sample_rate_hz=8000, **options):
    return np.concatenate(list(pcm_blocks(profile, sample_rate_hz, **options)))


@pytest.mark.parametrize("name", RICH)
def test_the_samples_are_the_same_on_every_machine_and_in_blocks(name):
    profile, digest = RICH[name], hashlib.sha256()
    for rate_hz in (8000, 16000, 44100):
        # Float64 values: rounding to 16 bits could hide a difference.
        samples = synthesise(profile, rate_hz)
        np.testing.assert_array_equal(pcm_of(profile, rate_hz, dither=False), to_pcm16(samples))
        digest.update((samples if profile.dither_seed is None else pcm_of(profile, rate_hz)).tobytes())
    assert digest.hexdigest() == SHA256[name]


@pytest.mark.parametrize("frequency_hz", [1234.56789, 400.0, 3399.9])
def test_an_hour_does_not_drift_and_needs_little_memory(frequency_hz):
    """The sequences of samples have a long period, no period, and a short one."""
    last, length = np.empty(0, np.int16), 0
    tracemalloc.start()
    try:
        for block in pcm_blocks(make_profile(tone(frequency_hz, on_ms=HOUR_MS, ramp_ms=0)), 8000):
            last, length = np.concatenate([last, block[-8000:]])[-8000:], length + len(block)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert length == HOUR_MS * 8
    at_start = float(Fraction(repr(frequency_hz)) * (length - len(last)) / 8000 % 1)
    expected = amplitude(-16) * 32768 * np.sin(2 * np.pi * (at_start + np.arange(len(last)) * frequency_hz / 8000))
    assert np.abs(last - expected).max() < 0.5 + 1e-6


def test_many_bursts_need_little_memory():
    tracemalloc.start()
    try:
        many = make_profile(tone(400, on_ms=300.06, off_ms=59.9), repeat=10_000)
        assert sum(len(block) for block in pcm_blocks(many, 8000)) == round(many.duration_ms * 8)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("level", "sample_rate_hz"), [(0, 8000), (-16, 16000), (-30, 48000)])
def test_the_noise_is_that_of_16_bits(level, sample_rate_hz):
    """The noise is what remains after a least-squares fit of a sine."""
    pcm = pcm_of(make_profile(tone(1019.37, on_ms=2000, ramp_ms=0), level_dbm0=level), sample_rate_hz)
    turns = np.arange(len(pcm)) * 1019.37 / sample_rate_hz
    basis = np.stack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns), np.ones(len(pcm))], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, pcm.astype(float), rcond=None)[0]
    sinad_db = 10 * np.log10(np.mean(fitted**2) / np.mean((pcm - fitted) ** 2))
    assert sinad_db == pytest.approx(10 * np.log10((amplitude(level) * 32768) ** 2 / 2 * 12), abs=0.5)


def test_a_burst_does_not_click():
    outside = np.abs(np.fft.rfftfreq(1 << 16, 1 / 8000) - 400) > 200
    for on_ms in (100, 200, 400):
        for ramp_ms, at_most_db in ((5, -41), (10, -55)):
            pcm = pcm_of(make_profile(tone(400, on_ms=on_ms, ramp_ms=ramp_ms))).astype(float)
            power = np.abs(np.fft.rfft(pcm, 1 << 16)) ** 2
            assert 10 * np.log10(power[outside].sum() / power.sum()) <= at_most_db


@pytest.mark.parametrize("on_ms", [100, 2345.6])
def test_a_sweep_glides_evenly(on_ms):
    samples = synthesise(make_profile(tone(400, 2000, on_ms=on_ms, ramp_ms=0, sweep={"to_hz": [1000, 500]})), 8000)
    time_s = np.arange(len(samples)) / 8000
    turns = [low * time_s + (high - low) * time_s**2 / (2 * on_ms / 1000) for low, high in ((400, 1000), (2000, 500))]
    expected = amplitude(-16) / np.sqrt(2) * sum(np.sin(2 * np.pi * turn) for turn in turns)
    np.testing.assert_allclose(samples, expected, atol=1e-9)


@pytest.mark.parametrize(("on_ms", "steps"), [(100, 4), (123.4, 7), (6000, 3)])
def test_a_stepped_sweep_has_equal_steps_and_a_continuous_phase(on_ms, steps):
    samples = synthesise(make_profile(tone(400, on_ms=on_ms, ramp_ms=0, sweep={"to_hz": [1000], "steps": steps})), 8000)
    stair_s = on_ms / 1000 / steps
    time_s = np.arange(len(samples)) / 8000
    step = np.minimum((time_s / stair_s + 1e-12).astype(int), steps - 1)
    pitch = 400 + 600 * np.arange(steps) / (steps - 1)
    before = np.concatenate([[0.0], np.cumsum(pitch * stair_s)])
    turns = before[step] + pitch[step] * (time_s - step * stair_s)
    np.testing.assert_allclose(samples, amplitude(-16) * np.sin(2 * np.pi * turns), atol=1e-9)


def test_frequencies_modulation_and_raised_cosines_are_exact_across_blocks():
    samples = synthesise(RICH["long"], 8000)
    time_s = np.arange(len(samples)) / 8000
    wave = sum(np.sin(2 * np.pi * hz * time_s) for hz in (400, 1234.567)) / np.sqrt(2)
    swell = (1 + 0.8 * np.sin(2 * np.pi * 16.7 * time_s)) / np.sqrt(1 + 0.8**2 / 2)
    middle = np.arange(len(samples)) + 0.5
    edge = np.minimum(np.minimum(middle, len(samples) - middle) / 7200, 1)
    np.testing.assert_allclose(samples, amplitude(-16) * wave * swell * np.sin(np.pi / 2 * edge) ** 2, atol=1e-9)


def test_a_ramp_shorter_than_half_a_sample_changes_nothing():
    sharp, *soft = (
        synthesise(make_profile(tone(1000, on_ms=10, ramp_ms=ms)), 8000) for ms in (0, 2.3e-313, 1e-9, 0.06)
    )
    for samples in soft:
        np.testing.assert_array_equal(sharp, samples)


@st.composite
def cadences(draw):
    """A strategy for on and off times in hundredths of a millisecond, so that few cycles have a whole number of
    samples.
    """
    times = st.integers(100, 3000).map(lambda hundredths: hundredths / 100)
    segments = [
        tone(*draw(st.sampled_from([(600,), (), (700.5, 900)])), on_ms=draw(times), off_ms=draw(times), ramp_ms=0.5)
        for _ in range(draw(st.integers(0, 2)))
    ]
    last = tone(1000, on_ms=draw(times), off_ms=draw(times), ramp_ms=0)
    return make_profile(*segments, last, repeat=draw(st.integers(1, 120)))


def burst_edges(profile, sample_rate_hz):
    """The first and the last sample of each burst, computed with exact fractions from the burst's own times."""
    at_ms = Fraction(0)
    for _ in range(profile.repeat):
        for segment in profile.segments:
            end_ms = at_ms + Fraction(repr(segment.on_ms))
            if segment.frequencies_hz:
                yield [int(ms * sample_rate_hz / 1000 + Fraction(1, 2)) for ms in (at_ms, end_ms)]
            at_ms = end_ms + Fraction(repr(segment.off_ms))


@given(cadences())
@settings(max_examples=20, deadline=None)
def test_every_edge_is_within_half_a_sample_however_often_it_repeats(profile):
    pcm = pcm_of(profile)
    sounding = np.zeros(len(pcm), bool)
    for first, end in burst_edges(profile, 8000):
        sounding[first:end] = True
        # A burst begins with phase 0, and the second sample of each of these is well above zero.
        assert end - first < 3 or pcm[first : first + 3].any()
    assert not pcm[~sounding].any()
    assert len(pcm) == pytest.approx(profile.duration_ms * 8, abs=0.5 + 1e-6)


def test_dither_is_triangular_noise_of_one_step_that_does_not_wrap_around():
    profile = make_profile(tone(1000, on_ms=8000, ramp_ms=0), tone(on_ms=8000), dither_seed=1)
    pcm, exact = pcm_of(profile), synthesise(profile, 8000)[:64_000] * 32768
    silence, error = pcm[64_000:], pcm[:64_000] - exact
    assert set(np.unique(silence)) == {-1, 0, 1}
    assert np.mean(silence) == pytest.approx(0, abs=0.01)
    assert np.mean(silence == 0) == pytest.approx(3 / 4, abs=0.01)
    # The quantiser's own twelfth, and two twelfths of the dither's.
    assert np.var(error) == pytest.approx(3 / 12, rel=0.03)
    assert abs(np.corrcoef(error, exact)[0, 1]) < 0.02
    # The wave and its modulation peak in one sample.
    loudest = make_profile(tone(500, ramp_ms=0, modulation=TREMBLING), level_dbm0=-1.12, dither_seed=3)
    clean, dithered = (pcm_of(loudest, 48000, dither=dither).astype(int) for dither in (False, True))
    assert np.abs(clean - dithered).max() <= 2


@pytest.mark.parametrize("seed", [None, 4])
def test_a_recording_comes_as_its_waveform(tmp_path, seed):
    path = write(tmp_path / "master.wav", synthesise(make_profile(tone(600, on_ms=400)), 16000), 16000)
    profile = recording_of(path, 0, 400, level_dbm0=-20, dither_seed=seed)
    samples = waveform(profile, 8000)
    assert np.abs(pcm_of(profile) - samples * 32768).max() <= (0.5 if seed is None else 1.5)
    np.testing.assert_array_equal(pcm_of(profile, dither=False), to_pcm16(samples))
