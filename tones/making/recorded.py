"""The recording of a profile → samples.

It is brought to its level through its sounding part: every sample around which the mean power of
10 ms lies within 20 dB of the loudest such mean, less 10 ms (of short parts a quarter) at each end, where
a tone rises and falls. So a burst counts with its plateau, as a synthesised one does, and a pause not at
all. It is judged at 8 kHz: what a telephone does not carry has no level there, and every rate gets the
same gain.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from idtone.errors import ToneError

from ..profile import RAMP_MS, Profile, Trim, sha256_of
from ..recordings.files import read_file
from ..runs import runs
from .oscillation import Samples, raised_cosine
from .scale import LOWEST_RATE_HZ, amplitude, check_rate

LONGEST_MASTER_S: Final = 60.0
"""With the silence around the sound."""
LEVEL_RATE_HZ: Final = LOWEST_RATE_HZ
POWER_MS: Final = 10.0
"""Three periods of the lowest tone; the power of a steady tone is steady over it."""
SOUNDING_DB: Final = -20.0
ABRUPT_MS: Final = 2.0
ABRUPT_DB: Final = -10.0
"""An end is abrupt whose first or last 2 ms come as near to the loudest 10 ms; a ramp of 5 ms does not."""
_RISE_MS: Final = 10.0
_LARGEST_PEAK: Final = 32767 / 32768


def recorded(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound at its level, one channel, 1.0 being full scale.

    Raises ToneError where the rate is too low, the recording is not the one that the profile names, or its
    peaks would clip at the profile's level; RecordingError where it cannot be read.
    """
    assert profile.recording
    assert profile.trim
    check_rate(sample_rate_hz)
    _prove(profile.recording, profile.sha256)
    leg = read_file(profile.recording, longest_s=LONGEST_MASTER_S)[0]
    whole = leg.samples.astype(np.float64)
    heard = _cut(whole, leg.sample_rate_hz, profile.trim, LEVEL_RATE_HZ)
    abrupt = _abrupt(heard)
    level = sounding_rms(_faded(heard, LEVEL_RATE_HZ, abrupt), LEVEL_RATE_HZ)
    if level == 0:
        raise ToneError(f"{profile.recording}: holds nothing but silence between the ends of the profile's trim")
    gain = amplitude(profile.level_dbm0, profile.law) / math.sqrt(2) / level
    part = _cut(whole, leg.sample_rate_hz, profile.trim, sample_rate_hz)
    samples = gain * _faded(part, sample_rate_hz, abrupt)
    peak = float(np.max(np.abs(samples)))
    if peak > _LARGEST_PEAK:
        # Of one rate; half a decibel covers what the peaks of another may have more.
        highest_dbm0 = math.floor(2 * (profile.level_dbm0 - 20 * math.log10(peak) - 0.5)) / 2
        raise ToneError(
            f"{profile.recording}: its peaks clip at {profile.level_dbm0:g} dBm0; "
            f"set a level_dbm0 of {highest_dbm0:g} or less"
        )
    return samples


def mean_power(samples: Samples, sample_rate_hz: int, window_ms: float) -> Samples:
    """Of the window around each sample; beyond the ends there is silence."""
    width = max(1, round(window_ms * sample_rate_hz / 1000))
    total = np.concatenate(([0.0], np.cumsum(samples * samples)))
    place = np.arange(len(samples)) - width // 2
    later, earlier = np.clip(place + width, 0, len(samples)), np.clip(place, 0, len(samples))
    return np.asarray((total[later] - total[earlier]) / width)


def sounding(samples: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """Which samples are of the sounding part; none in silence."""
    power = mean_power(samples, sample_rate_hz, POWER_MS)
    loudest = float(np.max(power, initial=0.0))
    mask = (power >= loudest * 10 ** (SOUNDING_DB / 10)) & (loudest > 0)
    rise = round(_RISE_MS * sample_rate_hz / 1000)
    for first, end in runs(mask):
        edge = min(rise, (end - first) // 4)
        mask[first : first + edge] = mask[end - edge : end] = False
    return mask


def sounding_rms(samples: Samples, sample_rate_hz: int) -> float:
    """Of the sounding part; 0 for silence."""
    part = samples[sounding(samples, sample_rate_hz)]
    return math.sqrt(float(np.mean(part * part))) if len(part) else 0.0


def _cut(samples: Samples, from_hz: int, trim: Trim, to_hz: int) -> Samples:
    """The trimmed part at another rate."""
    # At these places both rates have a sample, so that the resampler moves nothing.
    together = from_hz // math.gcd(from_hz, to_hz)
    margin = from_hz // 20
    first = max(int(trim.from_ms * from_hz / 1000) - margin, 0) // together * together
    end = math.ceil(trim.to_ms * from_hz / 1000) + margin
    wave: Samples = soxr.resample(samples[first:end], from_hz, to_hz, quality="VHQ")
    origin = first // together * (to_hz // math.gcd(from_hz, to_hz))
    start = math.floor(trim.from_ms * to_hz / 1000 + 0.5) - origin
    stop = math.floor(trim.to_ms * to_hz / 1000 + 0.5) - origin
    wave = wave[start:stop]
    return np.pad(wave, (0, stop - start - len(wave)))


def _abrupt(heard: Samples) -> tuple[bool, bool]:
    """Whether the sound begins, and whether it ends, inside a wave, which would click. At `LEVEL_RATE_HZ`."""
    length = round(ABRUPT_MS * LEVEL_RATE_HZ / 1000)
    loudest = float(np.max(mean_power(heard, LEVEL_RATE_HZ, POWER_MS), initial=0.0))
    first, last = (float(np.sum(end * end)) / length for end in (heard[:length], heard[-length:]))
    limit = loudest * 10 ** (ABRUPT_DB / 10)
    return first > limit, last > limit


def _faded(samples: Samples, sample_rate_hz: int, abrupt: tuple[bool, bool]) -> Samples:
    """With a raised-cosine ramp, as bursts have it, at each end that is abrupt."""
    length = min(round(RAMP_MS * sample_rate_hz / 1000), len(samples) // 2)
    ramp = raised_cosine((np.arange(length) + 0.5) / max(length, 1))
    faded = samples.copy()
    if abrupt[0]:
        faded[:length] *= ramp
    if abrupt[1]:
        faded[len(faded) - length :] *= ramp[::-1]
    return faded


def _prove(path: Path, sha256: str | None) -> None:
    """Loading the profile proved the file; it may have been replaced since."""
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise ToneError(
            f"{path}: cannot be read: {error.strerror}. Put the master there, or import it again"
        ) from error
    if digest != sha256:
        raise ToneError(f"{path}: has another SHA-256 than its profile names, {digest}. Import the right master again")
