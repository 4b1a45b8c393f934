"""The voices of the lab's parties: pseudo-noise in the telephone band, a different one for each role.

A short piece of noise matches at only one position, so a measurement finds which party speaks, and from when on.
"""

from typing import Final

import numpy as np

from .g711 import SAMPLE_RATE_HZ, Samples

PERIOD: Final = 4000
"""Period of a voice in samples, which are complete frames."""
LEVEL_RMS: Final = 1602.0
"""Level of a talker: -20 dBm0."""
_BAND_HZ: Final = (300, 3400)


def voice(seed: int) -> Samples:
    """The voice with the number `seed`.

    It has a flat spectrum within the band and random phases, and loops without a break.
    """
    frequencies_hz = np.fft.rfftfreq(PERIOD, 1 / SAMPLE_RATE_HZ)
    inside = (frequencies_hz >= _BAND_HZ[0]) & (frequencies_hz <= _BAND_HZ[1])
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(frequencies_hz))
    samples = np.fft.irfft(inside * np.exp(1j * phases), PERIOD)
    return np.rint(samples * (LEVEL_RMS / np.sqrt(np.mean(samples**2)))).astype(np.int16)


CALLER: Final = voice(1)
CALLED: Final = voice(2)
ANNOUNCEMENT: Final = voice(3)
"""Announcement in early media."""


def member_voices(count: int) -> list[Samples]:
    """Voices of phones that are called at the same time. The first one is `CALLED`."""
    return [CALLED, *(voice(10 + number) for number in range(1, count))]


def tone(frequency_hz: float, on_ms: int, off_ms: int = 0, level_rms: float = LEVEL_RMS) -> Samples:
    """A tone followed by silence, in complete frames."""
    time_s = np.arange(on_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    samples = level_rms * np.sqrt(2) * np.sin(2 * np.pi * frequency_hz * time_s)
    return np.rint(np.pad(samples, (0, off_ms * SAMPLE_RATE_HZ // 1000))).astype(np.int16)


FAX: Final = tone(2100, 3000, 80)
"""Sound of a called fax machine: CED (T.30, 4.3.3.3)."""
MACHINE: Final = np.concatenate((voice(4), voice(4), tone(1000, 400, 600)))
"""Sound of an answering machine: a greeting, then a beep."""
