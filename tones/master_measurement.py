"""Measures a master, and checks the requirements that it must meet.

Level, noise and trim are judged at 8 kHz, as in a telephone. Clipping, DC and the channels are judged in the file
itself.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from idtone.core.errors import ToneError
from idtone.core.translation import Message, joined

from .making.amplitude import LOWEST_RATE_HZ
from .making.master_recording import LEVEL_RATE_HZ, SOUNDING_DB, mean_power, sounding_mask, sounding_rms
from .making.oscillation import Samples
from .mask_runs import mask_runs
from .measuring.levels import SILENCE_DB, dbm0, power_db
from .profile import CALL_LIMIT_MS, Law, Trim
from .recordings.recorded_leg import RecordedLeg

HIGHEST_RATE_HZ: Final = 192_000
SHORTEST_MS: Final = 50.0
"""Minimum duration of a sound, in ms.

This is half the shortest pulse of a Japanese network tone. People cannot recognize a shorter sound.
"""
SILENT_DB: Final = -60.0
"""Level relative to full scale below which a recording is too quiet.

At a usual level, the noise of its 16-bit steps would be audible.
"""
NOISE_DB: Final = -30.0
"""Maximum noise relative to the sound, about the idle noise of a G.711 line at usual levels."""
NOISELIKE_DB: Final = -6.0
"""Spectral flatness above which a sound counts as noise, even if its pauses are quiet.

Voiced speech and tones are far below.
"""
DC_DB: Final = -30.0
"""Maximum DC relative to the sound. A valid 300 Hz burst of 50 ms that is cut inside a wave has almost as much."""
CHANNELS_DB: Final = -40.0
"""Maximum difference between two channels relative to the sound.

Lossy coding makes equal channels differ by less.
"""
TRIM_DB: Final = -40.0
ABOVE_NOISE_DB: Final = 12.0
"""Margin above the noise.

White noise at 8 kHz, averaged over 1 ms, is 6 to 7 dB above its mean in one of a thousand cases.
"""

_FULL_SCALE: Final = 0.98
"""Full scale of µ-law, the lowest of all codings."""
_CEILING: Final = 32767 / 32768
_CLIPPED_RUN: Final = 3
"""Minimum number of consecutive equal samples at full scale that count as a clipped peak.

At 192 kHz, the crest of an unclipped sine of 300 Hz or more has two such samples.
"""
_SLOW_HZ: Final = 16_000
_CLIPPED_RUN_SLOW: Final = 2
"""Value that replaces `_CLIPPED_RUN` at rates up to `_SLOW_HZ`.

At these rates, a sine that just reaches full scale has only one such sample.
"""
_QUIET_MS: Final = 20.0
_EDGE_MS: Final = 1.0
_BAND_HZ: Final = (300, 3400)


@dataclass(frozen=True, slots=True)
class MasterMeasurement:
    """Measurements of a recording that may become a sound.

    `rms` is the RMS of the sounding part, where 1.0 is full scale. `noise_db` and `dc_db` are relative to it.
    `noise_db` is an upper bound, and is infinite if the recording is too short to measure it.
    """

    sample_rate_hz: int
    trim: Trim
    rms: float
    peak: float
    noise_db: float
    dc_db: float

    @property
    def duration_ms(self) -> float:
        return self.trim.to_ms - self.trim.from_ms

    def level_dbm0(self, law: Law) -> float:
        """The level of the recording as supplied, in dBm0."""
        return dbm0(power_db(self.rms**2), law)


def measure_master(legs: Sequence[RecordedLeg], name: str) -> MasterMeasurement:
    """Measure a recording. If it has faults, raises ToneError that lists them in a message that begins with `name`."""
    try:
        _refuse_unmeasurable(legs)
        samples = legs[0].samples.astype(np.float64)
        rate = legs[0].sample_rate_hz
        heard = np.asarray(soxr.resample(samples, rate, LEVEL_RATE_HZ, quality="VHQ"))
        _refuse_silence(samples, heard)
    except ToneError as error:
        raise ToneError("{name}: cannot be the master of a sound: it {error}", name=name, error=error) from None
    power = sounding_rms(heard, LEVEL_RATE_HZ) ** 2
    quiet, between = _quietest(heard) / power, _between_partials(heard)
    master = MasterMeasurement(
        sample_rate_hz=rate,
        trim=_trim(heard, quiet, len(samples) / rate),
        rms=math.sqrt(power),
        peak=float(np.max(np.abs(samples))),
        noise_db=power_db(min(quiet, between)),
        dc_db=power_db(float(np.mean(samples)) ** 2 / power),
    )
    faults = [*_channel_faults(legs, power), *_clipping_faults(samples, rate), *_faults(master, power_db(between))]
    if faults:
        raise ToneError("{name}: cannot be the master of a sound: it {faults}", name=name, faults=joined("; ", faults))
    return master


def _refuse_unmeasurable(legs: Sequence[RecordedLeg]) -> None:
    rate = legs[0].sample_rate_hz
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise ToneError(
            "has {rate} samples per second; {lowest_rate_hz} to {highest_rate_hz} are allowed",
            rate=rate,
            lowest_rate_hz=LOWEST_RATE_HZ,
            highest_rate_hz=HIGHEST_RATE_HZ,
        )
    if not len(legs[0].samples):
        raise ToneError("holds no samples")
    for leg in legs:
        broken = np.flatnonzero(~np.isfinite(leg.samples))
        if len(broken):
            raise ToneError(
                "holds {count} samples that are not numbers, the first at {second:.3f} s",
                count=len(broken),
                second=broken[0] / rate,
            )


def _refuse_silence(samples: Samples, heard: Samples) -> None:
    if not len(heard):
        raise ToneError("is too short to be measured: samples: {count}", count=len(samples))
    loudest_db = power_db(float(np.max(mean_power(heard - np.mean(heard), LEVEL_RATE_HZ, _QUIET_MS), initial=0.0)))
    if loudest_db < SILENT_DB:
        peak_db = power_db(float(np.max(np.abs(samples))) ** 2)
        raise ToneError(
            "is silent: its loudest 20 ms in the telephone band have {loudest} of full scale "
            "(peak of all {peak}), and {silent_db:g} dB is the least",
            loudest=decibel_text(loudest_db),
            peak=decibel_text(peak_db),
            silent_db=SILENT_DB,
        )


def _channel_faults(legs: Sequence[RecordedLeg], power: float) -> Iterator[str]:
    for leg in legs[1:]:
        difference = leg.samples.astype(np.float64) - legs[0].samples
        difference_db = power_db(float(np.max(mean_power(difference, leg.sample_rate_hz, _QUIET_MS))) / power)
        if difference_db > CHANNELS_DB:
            yield Message(
                "has channels that differ: {first} minus {second} reaches {difference} "
                "relative to the sound, and {most_db:g} dB is the most",
                first=legs[0].name,
                second=leg.name,
                difference=decibel_text(difference_db),
                most_db=CHANNELS_DB,
            )


def _clipping_faults(samples: Samples, rate: int) -> Iterator[str]:
    """Yield faults for clipped peaks: several consecutive equal samples at positive or negative full scale."""
    flat = _level_runs(samples)
    lengths = flat[:, 1] - flat[:, 0]
    heights = np.abs(samples[flat[:, 0]])
    clipped = (lengths >= _CLIPPED_RUN) & (heights >= _FULL_SCALE)
    if rate <= _SLOW_HZ:
        clipped |= (lengths >= _CLIPPED_RUN_SLOW) & (heights >= _CEILING)
    if np.any(clipped):
        count, places = int(np.sum(lengths[clipped])), flat[clipped]
        yield Message(
            "is clipped: samples at full scale: {samples}, in runs: {runs}, the first at {at_s:.3f} s",
            samples=count,
            runs=len(places),
            at_s=places[0, 0] / rate,
        )


def _level_runs(samples: Samples) -> NDArray[np.intp]:
    """Runs of two or more equal samples, as rows like those of `mask_runs`."""
    equal = mask_runs(np.diff(samples) == 0)
    equal[:, 1] += 1
    return equal


def _faults(master: MasterMeasurement, between_db: float) -> Iterator[str]:
    if master.duration_ms < SHORTEST_MS:
        yield Message(
            "is too short: {length_ms:.1f} ms without the silence around it; {least_ms:g} ms is the least",
            length_ms=master.duration_ms,
            least_ms=SHORTEST_MS,
        )
    if master.duration_ms > CALL_LIMIT_MS:
        yield Message(
            "is too long: {length_s:.3f} s without the silence around it; {most_s:g} s is the most",
            length_s=master.duration_ms / 1000,
            most_s=CALL_LIMIT_MS / 1000,
        )
    if NOISE_DB < master.noise_db < math.inf:
        yield Message(
            "is too noisy: by its quietest 20 ms and its spectrum between 300 and 3400 Hz, its noise may reach "
            "{noise} relative to the sound, and {most_db:g} dB is the most",
            noise=decibel_text(master.noise_db),
            most_db=NOISE_DB,
        )
    elif NOISELIKE_DB < between_db < math.inf:
        yield Message(
            "is noise, not a sound: its spectrum is as flat as noise at {level} relative to it, "
            "and {most_db:g} dB is the most",
            level=decibel_text(between_db),
            most_db=NOISELIKE_DB,
        )
    if master.dc_db > DC_DB:
        yield Message(
            "has a DC of {level} relative to the sound; {most_db:g} dB is the most",
            level=decibel_text(master.dc_db),
            most_db=DC_DB,
        )


def _quietest(heard: Samples) -> float:
    """The mean square of the quietest 20 ms without DC, an upper bound on steady noise.

    Infinite if the sound is shorter than 20 ms.
    """
    width = round(_QUIET_MS * LEVEL_RATE_HZ / 1000)
    if len(heard) < width:
        return math.inf
    total, squares = (np.concatenate(([0.0], np.cumsum(part))) for part in (heard, heard * heard))
    means = (total[width:] - total[:-width]) / width
    powers = (squares[width:] - squares[:-width]) / width - means * means
    return max(float(np.min(powers)), 0.0)


def _between_partials(heard: Samples) -> float:
    """Upper bound on steady noise relative to the power of the sound, from the spectrum of the sounding part.

    In white noise, the median line of a spectrum has ln 2 of the mean power. The bound is the mean of the medians over
    frames of 64 ms that overlap by half. Infinite if there is no such frame.
    """
    size = round(0.064 * LEVEL_RATE_HZ)
    part = sounding_mask(heard, LEVEL_RATE_HZ)
    padded = np.pad(heard, size)
    weights = np.pad(part, size)
    starts = [
        start for start in range(0, len(padded) - size + 1, size // 2) if weights[start : start + size].mean() > 0.5
    ]
    if not starts:
        return math.inf
    window = np.hanning(size + 1)[:-1]
    lines = np.arange(size // 2 + 1) * LEVEL_RATE_HZ / size
    band = (lines >= _BAND_HZ[0]) & (lines <= _BAND_HZ[1])
    spectra = np.abs(np.fft.rfft(np.stack([padded[start : start + size] * window for start in starts]))) ** 2
    density = float(np.mean(np.median(spectra[:, band], axis=1))) / math.log(2)
    return density / float(np.sum(window * window)) / sounding_rms(heard, LEVEL_RATE_HZ) ** 2


def _trim(heard: Samples, quiet: float, duration_s: float) -> Trim:
    """The part from the first to the last sound, rounded outward to a tenth of a millisecond.

    A sound begins at the first millisecond above a threshold. The threshold is 40 dB below the loudest part or, if
    higher, the noise plus a margin.
    """
    loudest = float(np.max(mean_power(heard, LEVEL_RATE_HZ, 10.0)))
    noise = quiet * sounding_rms(heard, LEVEL_RATE_HZ) ** 2 / loudest
    threshold_db = min(max(TRIM_DB, power_db(noise) + ABOVE_NOISE_DB), SOUNDING_DB)
    louder = np.flatnonzero(mean_power(heard, LEVEL_RATE_HZ, _EDGE_MS) > loudest * 10 ** (threshold_db / 10))
    from_ms = math.floor(10_000 * float(louder[0]) / LEVEL_RATE_HZ) / 10
    to_ms = math.ceil(10_000 * float(louder[-1] + 1) / LEVEL_RATE_HZ) / 10
    return Trim(from_ms=from_ms, to_ms=min(to_ms, round(1000 * duration_s, 3)))


def decibel_text(level_db: float) -> str:
    """The level in dB as text."""
    return "nothing" if level_db <= SILENCE_DB else f"{level_db:.1f} dB"
