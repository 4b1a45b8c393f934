"""Call legs for the tests of the verification, built from profiles and noise."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile import Profile
from idtone.tones.profile_library import load_library

RATE_HZ = 8000
NOTICE, SAMPLE = load_library()["notice"], load_library()["sample"]
Samples = NDArray[np.float32]
_PACKET = RATE_HZ // 50


def leg(
    *sounds: Profile,
    at_ms: float = 700,
    after_ms: float = 900,
    apart_ms: float = 600,
    gain_db: float = 0.0,
    noise_dbov: float = -60.0,
    seed: int = 1,
    sample_rate_hz: int = RATE_HZ,
) -> Samples:
    """A leg with the sounds one after another in white noise. The first sound begins at `at_ms`."""
    silence = np.zeros(round(apart_ms * sample_rate_hz / 1000))
    pieces: list[NDArray[Any]] = [np.zeros(round(at_ms * sample_rate_hz / 1000))]
    for sound in sounds:
        pieces += [synthesise(sound, sample_rate_hz) * 10 ** (gain_db / 20), silence]
    pieces.append(np.zeros(round(after_ms * sample_rate_hz / 1000)))
    samples = np.concatenate(pieces)
    samples += 10 ** (noise_dbov / 20) * np.random.default_rng(seed).standard_normal(len(samples))
    return samples.astype(np.float32)


def noise_for(profile: Profile, snr_db: float) -> float:
    """Noise level for `leg` that is `snr_db` below the level of the profile's sound."""
    samples = synthesise(profile, RATE_HZ)
    rms = float(np.sqrt(np.mean(samples[samples != 0] ** 2)))
    return 20 * float(np.log10(rms)) - snr_db


def without(samples: Samples, lost: Sequence[tuple[int, int]]) -> Samples:
    """The samples with silence in the lost spans."""
    heard = samples.copy()
    for first, end in lost:
        heard[first:end] = 0
    return heard


def without_phase(samples: Samples, chance: np.random.Generator) -> Samples:
    """The samples with random phases. Each packet keeps its spectrum.

    This is the worst effect of concealment and tandem codecs.
    """
    packets = samples[: len(samples) // _PACKET * _PACKET].reshape(-1, _PACKET)
    turns = np.exp(2j * np.pi * chance.random(len(packets)))[:, None]
    return np.fft.irfft(np.fft.rfft(packets) * turns, _PACKET).ravel().astype(np.float32)
