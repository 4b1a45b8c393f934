"""The voices of the lab's parties: pseudo-noise in the telephone band, a different one for each role.

A short piece of noise matches at one place only, so a measurement finds which party speaks, and since when.
"""

from typing import Final

import numpy as np

from .g711 import SAMPLE_RATE_HZ, Samples

PERIOD: Final = 4000
"""The period of a voice in samples; complete frames."""
LEVEL_RMS: Final = 1602.0
"""-20 dBm0, the level of a talker."""
_BAND_HZ: Final = (300, 3400)


def voice(seed: int) -> Samples:
    """The voice with this number: flat spectrum within the band, random phases. It loops without a break."""
    frequencies_hz = np.fft.rfftfreq(PERIOD, 1 / SAMPLE_RATE_HZ)
    inside = (frequencies_hz >= _BAND_HZ[0]) & (frequencies_hz <= _BAND_HZ[1])
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(frequencies_hz))
    samples = np.fft.irfft(inside * np.exp(1j * phases), PERIOD)
    return np.rint(samples * (LEVEL_RMS / np.sqrt(np.mean(samples**2)))).astype(np.int16)


CALLER: Final = voice(1)
CALLED: Final = voice(2)
ANNOUNCEMENT: Final = voice(3)
"""The announcement of early media."""


def member_voices(count: int) -> list[Samples]:
    """The voices of phones that are called together; the first is `CALLED`."""
    return [CALLED, *(voice(10 + number) for number in range(1, count))]


def tone(frequency_hz: float, on_ms: int, off_ms: int = 0, level_rms: float = LEVEL_RMS) -> Samples:
    """A tone and the silence after it; complete frames."""
    time_s = np.arange(on_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    samples = level_rms * np.sqrt(2) * np.sin(2 * np.pi * frequency_hz * time_s)
    return np.rint(np.pad(samples, (0, off_ms * SAMPLE_RATE_HZ // 1000))).astype(np.int16)


FAX: Final = tone(2100, 3000, 80)
"""A called facsimile machine: CED (T.30, 4.3.3.3)."""
MACHINE: Final = np.concatenate((voice(4), voice(4), tone(1000, 400, 600)))
"""An answering machine: a greeting, then a beep."""
