"""Computes the samples of a profile that is a recording.

The level is measured over the sounding part. A sample belongs to this part if the mean power of the 10 ms around it is
within 20 dB of the loudest 10 ms. At each end of a sounding run, 10 ms are excluded (a quarter of a short run), because
a tone rises and falls there. Therefore only a burst's plateau counts, as in a synthesized sound. The level is measured
at 8 kHz, so sound outside the telephone band does not count, and every sample rate gets the same gain.
"""

import math
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from idtone.core.errors import ToneError

from ..mask_runs import mask_runs
from ..profile import RAMP_MS, Profile, Trim, sha256_of
from ..recordings.audio_files import read_audio_file
from .amplitude import LOWEST_RATE_HZ, amplitude, check_sample_rate
from .oscillation import Samples, raised_cosine

LONGEST_MASTER_S: Final = 60.0
"""Maximum duration of a master with the silence around the sound, in seconds."""
LEVEL_RATE_HZ: Final = LOWEST_RATE_HZ
POWER_MS: Final = 10.0
"""Length of the power window, in ms.

The window contains three periods of the lowest tone, so that a steady tone has a steady power.
"""
SOUNDING_DB: Final = -20.0
ABRUPT_MS: Final = 2.0
ABRUPT_DB: Final = -10.0
"""Level of the last 2 ms at an end, relative to the loudest 10 ms, above which the end is abrupt.

A ramp of 5 ms stays below this level.
"""
_RISE_MS: Final = 10.0
_LARGEST_PEAK: Final = 32767 / 32768


def recorded_samples(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound at its level in one channel, where 1.0 is full scale.

    Raises ToneError if the sample rate is too low, or if the recording is silent, would clip at the profile's level, or
    has a different hash than the profile says. Raises RecordingError if the recording cannot be read.
    """
    assert profile.recording
    assert profile.trim
    check_sample_rate(sample_rate_hz)
    _check_hash(profile.recording, profile.sha256)
    leg = read_audio_file(profile.recording, longest_s=LONGEST_MASTER_S)[0]
    whole = leg.samples.astype(np.float64)
    heard = _cut(whole, leg.sample_rate_hz, profile.trim, LEVEL_RATE_HZ)
    abrupt = _abrupt(heard)
    level = sounding_rms(_faded(heard, LEVEL_RATE_HZ, abrupt), LEVEL_RATE_HZ)
    if level == 0:
        raise ToneError("{recording}: contains only silence within the profile's trim", recording=profile.recording)
    gain = amplitude(profile.level_dbm0, profile.law) / math.sqrt(2) / level
    part = _cut(whole, leg.sample_rate_hz, profile.trim, sample_rate_hz)
    samples = gain * _faded(part, sample_rate_hz, abrupt)
    peak = float(np.max(np.abs(samples)))
    if peak > _LARGEST_PEAK:
        # At another rate the peaks may be higher. Half a decibel covers the difference.
        highest_dbm0 = math.floor(2 * (profile.level_dbm0 - 20 * math.log10(peak) - 0.5)) / 2
        raise ToneError(
            "{recording}: its peaks clip at {level_dbm0:g} dBm0; set a level_dbm0 of {highest_dbm0:g} or less",
            recording=profile.recording,
            level_dbm0=profile.level_dbm0,
            highest_dbm0=highest_dbm0,
        )
    return samples


def mean_power(samples: Samples, sample_rate_hz: int, window_ms: float) -> Samples:
    """The mean power in the window around each sample, assuming silence before and after the samples."""
    width = max(1, round(window_ms * sample_rate_hz / 1000))
    total = np.concatenate(([0.0], np.cumsum(samples * samples)))
    place = np.arange(len(samples)) - width // 2
    later, earlier = np.clip(place + width, 0, len(samples)), np.clip(place, 0, len(samples))
    return np.asarray((total[later] - total[earlier]) / width)


def sounding_mask(samples: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """A mask that is True for the samples of the sounding part."""
    power = mean_power(samples, sample_rate_hz, POWER_MS)
    loudest = float(np.max(power, initial=0.0))
    mask = (power >= loudest * 10 ** (SOUNDING_DB / 10)) & (loudest > 0)
    rise = round(_RISE_MS * sample_rate_hz / 1000)
    for first, end in mask_runs(mask):
        edge = min(rise, (end - first) // 4)
        mask[first : first + edge] = mask[end - edge : end] = False
    return mask


def sounding_rms(samples: Samples, sample_rate_hz: int) -> float:
    """The RMS of the sounding part, or 0 for silence."""
    part = samples[sounding_mask(samples, sample_rate_hz)]
    return math.sqrt(float(np.mean(part * part))) if len(part) else 0.0


def _cut(samples: Samples, from_hz: int, trim: Trim, to_hz: int) -> Samples:
    """The trimmed part of the samples, resampled."""
    # The cut is where both rates have a sample, so that the resampler shifts nothing.
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
    """True for each end, first and last, that is abrupt. `heard` is at `LEVEL_RATE_HZ`.

    An abrupt end lies inside a wave and clicks.
    """
    length = round(ABRUPT_MS * LEVEL_RATE_HZ / 1000)
    loudest = float(np.max(mean_power(heard, LEVEL_RATE_HZ, POWER_MS), initial=0.0))
    first, last = (float(np.sum(end * end)) / length for end in (heard[:length], heard[-length:]))
    limit = loudest * 10 ** (ABRUPT_DB / 10)
    return first > limit, last > limit


def _faded(samples: Samples, sample_rate_hz: int, abrupt: tuple[bool, bool]) -> Samples:
    """The samples with a raised-cosine ramp at each abrupt end, as in a burst."""
    length = min(round(RAMP_MS * sample_rate_hz / 1000), len(samples) // 2)
    ramp = raised_cosine((np.arange(length) + 0.5) / max(length, 1))
    faded = samples.copy()
    if abrupt[0]:
        faded[:length] *= ramp
    if abrupt[1]:
        faded[len(faded) - length :] *= ramp[::-1]
    return faded


def _check_hash(path: Path, sha256: str | None) -> None:
    """Check the hash again, because the file may have been replaced since the profile was loaded.

    Raises ToneError.
    """
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise ToneError(
            "{path}: cannot be read: {reason}. Put the master there, or import it again",
            path=path,
            reason=error.strerror,
        ) from error
    if digest != sha256:
        raise ToneError(
            "{path}: has another SHA-256 than its profile names, {digest}. Import the right master again",
            path=path,
            digest=digest,
        )
