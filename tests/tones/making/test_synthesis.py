from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from idtone.errors import ToneError
from idtone.tones.making.scale import amplitude
from idtone.tones.making.synthesis import synthesise, to_pcm16
from idtone.tones.making.waveform import pcm_blocks, waveform
from idtone.tones.profile import Profile, build_profile

from ..levels import level_dbm0, part
from ..profiles import make, tone

LEVELLED = [
    tone(400),
    tone(1000),
    tone(600, 1000),
    tone(600, 1000, 1350),
    tone(400, modulation={"rate_hz": 20, "depth": 1}),
    tone(400, modulation={"rate_hz": 10, "depth": 0.22}),
]
"""All of them have whole periods in 100 ms."""


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("segment", LEVELLED)
@pytest.mark.parametrize("level", [-4.0, -16.0, -40.0])
def test_the_level_of_a_burst_is_exact(sample_rate_hz: int, segment: dict[str, Any], level: float) -> None:
    samples = synthesise(make(segment, level_dbm0=level), sample_rate_hz)
    assert level_dbm0(part(samples, sample_rate_hz, 50, 150) * 32768) == pytest.approx(level, abs=0.0002)


@pytest.mark.parametrize("segment", LEVELLED)
@pytest.mark.parametrize(("level", "tolerance_db"), [(-4.0, 0.005), (-16.0, 0.005), (-40.0, 0.02)])
def test_the_level_survives_16_bits(segment: dict[str, Any], level: float, tolerance_db: float) -> None:
    # At -40 dBm0 the peak is 228 steps; half a step is 0.02 dB.
    pcm = to_pcm16(synthesise(make(segment, level_dbm0=level), 8000))
    assert level_dbm0(part(pcm, 8000, 50, 150)) == pytest.approx(level, abs=tolerance_db)


def test_0_dbm0_is_that_of_a_law() -> None:
    assert amplitude(0) * 32768 == pytest.approx(22827, abs=0.1)
    assert amplitude(3.14) == 1


def test_the_frequency_is_exact() -> None:
    samples = synthesise(make(tone(1234.5, on_ms=10_000, ramp_ms=0)), 8000)
    expected = amplitude(-16) * np.sin(2 * np.pi * 1234.5 * np.arange(80_000) / 8000)
    assert np.abs(samples - expected).max() < 1e-9


def test_edges_are_rounded_from_the_beginning_of_the_sound() -> None:
    # 10.06 ms are 80.48 samples: with each length rounded, 100 of them would lose 48 samples.
    profile = make(tone(1000, on_ms=5, off_ms=5.06, ramp_ms=0), repeat=100)
    samples = synthesise(profile, 8000)
    assert len(samples) == 8048
    starts = np.flatnonzero((samples[1:] != 0) & (samples[:-1] == 0) & (np.roll(samples, 1)[:-1] == 0))
    assert starts[-1] == round(99 * 10.06 * 8)


def test_ramps_are_raised_cosines_inside_the_burst() -> None:
    profile = make(tone(1000, on_ms=100, off_ms=10, ramp_ms=20))
    sharp = make(tone(1000, on_ms=100, off_ms=10, ramp_ms=0))
    samples, full = synthesise(profile, 8000), synthesise(sharp, 8000)
    assert np.all(samples[800:] == 0)
    np.testing.assert_array_equal(samples[160:640], full[160:640])
    expected = (1 - np.cos(np.pi * (np.arange(160) + 0.5) / 160)) / 2
    np.testing.assert_allclose(samples[:160], full[:160] * expected, atol=1e-12)
    np.testing.assert_allclose(samples[640:800], full[640:800] * expected[::-1], atol=1e-12)


def test_modulation_swings_between_its_depths() -> None:
    profile = make(tone(1000, on_ms=200, ramp_ms=0, modulation={"rate_hz": 10, "depth": 0.5}))
    samples = synthesise(profile, 48000) / amplitude(-16) * np.sqrt(1 + 0.5**2 / 2)
    assert np.abs(part(samples, 48000, 24, 26)).max() == pytest.approx(1.5, abs=0.01)
    assert np.abs(part(samples, 48000, 74, 76)).max() == pytest.approx(0.5, abs=0.01)


def test_silence_and_pauses_are_zero() -> None:
    pcm = to_pcm16(synthesise(make(tone(on_ms=50), tone(600, on_ms=50, off_ms=50)), 8000))
    assert len(pcm) == 1200
    assert not pcm[:400].any()
    assert not pcm[800:].any()


def test_the_loudest_profile_allowed_does_not_clip() -> None:
    rates = {"rate_hz": 100.0, "depth": 1.0}
    profile = make(tone(2000, ramp_ms=0, modulation=rates), level_dbm0=-1.2)  # the bound is -1.1199 dBm0
    assert np.abs(to_pcm16(synthesise(profile, 48000))).max() > 32000


@pytest.mark.parametrize("peak", [1.0, -1.001, float("nan"), float("inf")])
def test_samples_beyond_full_scale_are_refused(peak: float) -> None:
    with pytest.raises(ToneError, match="full scale"):
        to_pcm16(np.array([0.0, peak]))


def test_rounding_goes_to_the_nearest() -> None:
    samples = np.array([-32768, -2.5, -0.6, 0.4, 0.5, 1.5, 32767.4]) / 32768
    assert to_pcm16(samples).tolist() == [-32768, -2, -1, 0, 0, 2, 32767]


def test_a_rate_below_the_band_is_refused() -> None:
    with pytest.raises(ToneError, match="too low"):
        synthesise(make(tone(600)), 7999)


HOUR_MS = 3_600_000
RICH: dict[str, Profile] = {
    "tones": make(
        tone(400, 1234.5, off_ms=33.3),
        tone(3400, on_ms=77.7, modulation={"rate_hz": 17, "depth": 0.9}, ramp_ms=20),
        repeat=3,
    ),
    "long": make(tone(400, 1234.567, on_ms=4321.1, ramp_ms=900, modulation={"rate_hz": 16.7, "depth": 0.8})),
    "sweeps": make(
        tone(400, 2000.5, on_ms=3000, off_ms=10, level_dbm0=-20, sweep={"to_hz": [3000, 300]}),
        tone(700.1, on_ms=2500.3, level_dbm0=-3, sweep={"to_hz": [1900], "steps": 7}),
        law="mu-law",
    ),
    "steady": make(tone(400.3, 1234.5, on_ms=25_000.3, modulation={"rate_hz": 16.7, "depth": 0.8})),
    "odd cycle": make(tone(600, on_ms=50.06, off_ms=49.9, ramp_ms=0), repeat=300),
    "dithered": make(tone(1004, on_ms=500, off_ms=100), tone(on_ms=50), dither_seed=2**64 - 1, level_dbm0=-40),
}


def pcm_of(profile: Profile, sample_rate_hz: int = 8000, **options: bool) -> NDArray[np.int16]:
    return np.concatenate(list(pcm_blocks(profile, sample_rate_hz, **options)))


def residual_db(pcm: NDArray[np.int16], frequency_hz: float, sample_rate_hz: int) -> float:
    """SINAD by a least-squares sine of a known frequency."""
    turns = np.arange(len(pcm)) * frequency_hz / sample_rate_hz
    basis = np.stack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns), np.ones(len(pcm))], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, pcm.astype(float), rcond=None)[0]
    return float(10 * np.log10(np.mean(fitted**2) / np.mean((pcm - fitted) ** 2)))


@pytest.mark.parametrize("name", RICH)
@pytest.mark.parametrize("sample_rate_hz", [8000, 44100])
def test_the_blocks_are_the_sound_itself(name: str, sample_rate_hz: int) -> None:
    expected = to_pcm16(synthesise(RICH[name], sample_rate_hz))
    np.testing.assert_array_equal(pcm_of(RICH[name], sample_rate_hz, dither=False), expected)


@pytest.mark.parametrize("frequency_hz", [1234.56789, 1234.567, 400.0, 3399.9])
def test_the_frequency_does_not_drift_over_an_hour(frequency_hz: float) -> None:
    last = np.empty(0, np.int16)
    for block in pcm_blocks(make(tone(frequency_hz, on_ms=HOUR_MS, ramp_ms=0)), 8000):
        last = np.concatenate([last, block])[-8000:]
    first = HOUR_MS * 8 - len(last)
    at_start = float(Fraction(repr(frequency_hz)) * first / 8000 % 1)
    expected = amplitude(-16) * 32768 * np.sin(2 * np.pi * (at_start + np.arange(len(last)) * frequency_hz / 8000))
    assert np.abs(last - expected).max() < 0.5 + 1e-6


@pytest.mark.parametrize(
    "profile",
    [
        make(tone(1234.567, on_ms=HOUR_MS)),
        make(tone(1234.56789, on_ms=HOUR_MS)),
        make(tone(400, on_ms=300.06, off_ms=59.9), repeat=10_000),
    ],
    ids=["long period", "no period", "many bursts"],
)
def test_an_hour_needs_little_memory(profile: Profile) -> None:
    tracemalloc.start()
    try:
        assert sum(len(block) for block in pcm_blocks(profile, 8000)) == round(profile.duration_ms * 8)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("level", [0, -16, -30])
@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 48000])
def test_the_noise_is_that_of_16_bits(level: float, sample_rate_hz: int) -> None:
    pcm = pcm_of(make(tone(1019.37, on_ms=4000, ramp_ms=0), level_dbm0=level), sample_rate_hz)
    peak = amplitude(level) * 32768
    theory_db = 10 * np.log10(peak**2 / 2 * 12)
    assert residual_db(pcm, 1019.37, sample_rate_hz) == pytest.approx(theory_db, abs=0.5)


@pytest.mark.parametrize(("ramp_ms", "at_most_db"), [(5, -41), (10, -55)])
@pytest.mark.parametrize("on_ms", [100, 200, 400])
def test_a_burst_does_not_click(ramp_ms: float, at_most_db: float, on_ms: float) -> None:
    pcm = pcm_of(make(tone(400, on_ms=on_ms, ramp_ms=ramp_ms)))
    power = np.abs(np.fft.rfft(pcm.astype(float), 1 << 16)) ** 2
    outside = np.abs(np.fft.rfftfreq(1 << 16, 1 / 8000) - 400) > 200
    assert 10 * np.log10(power[outside].sum() / power.sum()) <= at_most_db


def test_the_level_of_a_burst_is_its_own_and_of_its_law() -> None:
    for law, peak in (("a-law", 22827.06), ("mu-law", 22656.6)):
        samples = synthesise(make(tone(1000), tone(1000, level_dbm0=-10), law=law), 8000) * 32768
        assert np.abs(samples[400:1200]).max() == pytest.approx(peak * 10 ** (-16 / 20), rel=1e-5)
        assert np.abs(samples[2000:2800]).max() == pytest.approx(peak * 10 ** (-10 / 20), rel=1e-5)


@pytest.mark.parametrize("on_ms", [100, 2345.6])
def test_a_sweep_glides_evenly(on_ms: float) -> None:
    profile = make(tone(400, 2000, on_ms=on_ms, ramp_ms=0, sweep={"to_hz": [1000, 500]}))
    samples = synthesise(profile, 8000)
    time_s = np.arange(len(samples)) / 8000
    turns = [low * time_s + (high - low) * time_s**2 / (2 * on_ms / 1000) for low, high in ((400, 1000), (2000, 500))]
    expected = amplitude(-16) / np.sqrt(2) * sum(np.sin(2 * np.pi * turn) for turn in turns)
    np.testing.assert_allclose(samples, expected, atol=1e-9)


@pytest.mark.parametrize(("on_ms", "steps"), [(100, 4), (123.4, 7), (6000, 3)])
def test_a_stepped_sweep_has_equal_steps_and_a_continuous_phase(on_ms: float, steps: int) -> None:
    profile = make(tone(400, on_ms=on_ms, ramp_ms=0, sweep={"to_hz": [1000], "steps": steps}))
    samples = synthesise(profile, 8000)
    stair_s = on_ms / 1000 / steps
    time_s = np.arange(len(samples)) / 8000
    step = np.minimum((time_s / stair_s + 1e-12).astype(int), steps - 1)
    pitch = 400 + 600 * np.arange(steps) / (steps - 1)
    before = np.concatenate([[0.0], np.cumsum(pitch * stair_s)])
    turns = before[step] + pitch[step] * (time_s - step * stair_s)
    np.testing.assert_allclose(samples, amplitude(-16) * np.sin(2 * np.pi * turns), atol=1e-9)


def test_modulation_and_ramps_continue_across_blocks() -> None:
    samples = synthesise(RICH["long"], 8000)
    time_s = np.arange(len(samples)) / 8000
    wave = sum(np.sin(2 * np.pi * hz * time_s) for hz in (400, 1234.567)) / np.sqrt(2)
    swell = (1 + 0.8 * np.sin(2 * np.pi * 16.7 * time_s)) / np.sqrt(1 + 0.8**2 / 2)
    middle = np.arange(len(samples)) + 0.5
    edge = np.minimum(np.minimum(middle, len(samples) - middle) / 7200, 1)
    np.testing.assert_allclose(samples, amplitude(-16) * wave * swell * np.sin(np.pi / 2 * edge) ** 2, atol=1e-9)


@st.composite
def cadences(draw: st.DrawFn) -> Profile:
    """On and off times in hundredths of a millisecond, so that few cycles are whole samples."""
    times = st.integers(100, 3000).map(lambda hundredths: hundredths / 100)
    segments = [
        tone(*draw(st.sampled_from([(600,), (), (700.5, 900)])), on_ms=draw(times), off_ms=draw(times), ramp_ms=0.5)
        for _ in range(draw(st.integers(0, 2)))
    ]
    last = tone(1000, on_ms=draw(times), off_ms=draw(times), ramp_ms=0)
    return make(*segments, last, repeat=draw(st.integers(1, 120)))


def burst_edges(profile: Profile, sample_rate_hz: int) -> Iterator[tuple[int, int]]:
    """Each edge from its own time, in exact fractions."""
    at_ms = Fraction(0)
    for _ in range(profile.repeat):
        for segment in profile.segments:
            end_ms = at_ms + Fraction(repr(segment.on_ms))
            if segment.frequencies_hz:
                first, end = (int(ms * sample_rate_hz / 1000 + Fraction(1, 2)) for ms in (at_ms, end_ms))
                yield first, end
            at_ms = end_ms + Fraction(repr(segment.off_ms))


@given(cadences())
@settings(max_examples=40, deadline=None)
def test_every_edge_is_within_half_a_sample_however_often_it_repeats(profile: Profile) -> None:
    pcm = pcm_of(profile)
    sounding = np.zeros(len(pcm), bool)
    for first, end in burst_edges(profile, 8000):
        sounding[first:end] = True
        # A burst begins with phase 0, and the second sample of each of these is well above zero.
        assert end - first < 3 or pcm[first : first + 3].any()
    assert not pcm[~sounding].any()
    assert len(pcm) == pytest.approx(profile.duration_ms * 8, abs=0.5 + 1e-6)


def test_dither_is_triangular_noise_of_one_step() -> None:
    profile = make(tone(1000, on_ms=8000, ramp_ms=0), tone(on_ms=8000), dither_seed=1)
    pcm = pcm_of(profile)
    silence = pcm[64_000:]
    assert set(np.unique(silence)) == {-1, 0, 1}
    assert np.mean(silence) == pytest.approx(0, abs=0.01)
    assert np.mean(silence == 0) == pytest.approx(3 / 4, abs=0.01)
    exact = synthesise(profile, 8000)[:64_000] * 32768
    error = pcm[:64_000] - exact
    # The quantiser's own twelfth, and two twelfths of the dither's.
    assert np.var(error) == pytest.approx(3 / 12, rel=0.03)
    assert abs(np.corrcoef(error, exact)[0, 1]) < 0.02


def test_dither_is_the_same_for_the_same_seed_alone() -> None:
    one, again, other = (pcm_of(make(tone(600), dither_seed=seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_dither_at_full_scale_does_not_wrap_around() -> None:
    rates = {"rate_hz": 100.0, "depth": 1.0}
    profile = make(tone(2000, ramp_ms=0, modulation=rates), level_dbm0=-1.12, dither_seed=3)
    clean, dithered = pcm_of(profile, 48000, dither=False).astype(int), pcm_of(profile, 48000).astype(int)
    assert np.abs(clean - dithered).max() <= 2


@pytest.mark.parametrize("seed", [None, 4])
def test_a_recording_comes_as_its_waveform(tmp_path: Path, seed: int | None) -> None:
    path = tmp_path / "master.wav"
    soundfile.write(path, synthesise(make(tone(600, on_ms=400)), 16000), 16000)
    profile = build_profile(
        {
            "id": "master", "title": "Master", "level_dbm0": -20, "recording": path.name, "dither_seed": seed,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "trim": {"to_ms": 400},
        },
        "test",
    ).model_copy(update={"recording": path})  # fmt: skip
    samples = waveform(profile, 8000)
    assert np.abs(pcm_of(profile) - samples * 32768).max() <= (0.5 if seed is None else 1.5)
    np.testing.assert_array_equal(pcm_of(profile, dither=False), to_pcm16(samples))


GOLDEN = {
    ("tones", 8000): "f57deebf5a6965148732be912312e2433bde2c8641b7790bcfa3533cf16c9acd",
    ("tones", 16000): "d435837978c9144594b11e23e9350730ac9a0a9bd7389a40a7fd5b9a0ba51f73",
    ("tones", 44100): "1a3a326ab57faebf77b2032203cc0fc665a2001c56a41e38149422d30446de7e",
    ("long", 8000): "4f39335b0aa1370f07096f02cf353d240b2194f4c675fe25761eadf0a15d6728",
    ("long", 16000): "0b496037de4f6407007f1b2effe4ec93ae93971b1e18c2d6cc99db133dcb9a8f",
    ("long", 44100): "59df15487522d806e7607a2b7e9f1c94676e61e3f49286436b8ba5ab573a075f",
    ("sweeps", 8000): "dab758f1ec50eccd27f394aeb32e52fc2aba4b5fe612f5f9ae3525f0b0fa4d5c",
    ("sweeps", 16000): "a1eb827b0547b7a76e47f3d5f7305e8d67a8f9a5fd404e1b4dbbbebf0f4e0510",
    ("sweeps", 44100): "b31ed8bd8cb251e526bcd6e67fada2fcb5483ba62f7a732b04d527dbf84c5383",
    ("steady", 8000): "5ede4d8f24025c9549e4412215aba5aeeb49ed61603590f1c0305726880cc8ea",
    ("steady", 16000): "6e1edb808b359354fd4dd1746130f0be237c021da12a109287f71aacedd5976b",
    ("steady", 44100): "72375c252069c80f033f928983817f119ff3e298725879b10c4e9125bcddafc8",
    ("odd cycle", 8000): "f79067fb2bc265016b30f40952e75034838318f4cecc8bab6ac009f100c989ae",
    ("odd cycle", 16000): "a290ab33d450618c42819891c1f2644a791edceed9cf4fca1ce0eed0556ab03e",
    ("odd cycle", 44100): "b59af9826d712b9206066c3d915515a87c9436fe95d04db2b414fe42355e1e94",
    ("dithered", 8000): "0bb8a65ea29d9a7756f3711a88e84500def5be50930cd84d0bfd0e789fa28faa",
    ("dithered", 16000): "d4fe08a58e0c1f91c8f05968a998e0daf139a16865853e97210ffc1a81bfe4f8",
    ("dithered", 44100): "93cf416fd1780d9b014f936ebb2b33fdab5ebced1bbbd53890b0b5f1194cc92e",
}


@pytest.mark.parametrize(("name", "sample_rate_hz"), GOLDEN)
def test_the_samples_are_the_same_on_every_machine(name: str, sample_rate_hz: int) -> None:
    profile = RICH[name]
    if profile.dither_seed is None:
        # Compare float64 values: rounding to 16 bits could hide a difference.
        content = synthesise(profile, sample_rate_hz).astype("<f8").tobytes()
    else:
        content = pcm_of(profile, sample_rate_hz).astype("<i2").tobytes()
    assert hashlib.sha256(content).hexdigest() == GOLDEN[name, sample_rate_hz]


@pytest.mark.parametrize("ramp_ms", [2.2250738585e-313, 1e-9, 0.06])
def test_a_ramp_shorter_than_half_a_sample_changes_nothing(ramp_ms: float) -> None:
    sharp, soft = (synthesise(make(tone(1000, on_ms=10, ramp_ms=ramp)), 8000) for ramp in (0, ramp_ms))
    np.testing.assert_array_equal(sharp, soft)
