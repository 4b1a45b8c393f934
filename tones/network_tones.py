"""Telephone network tones that a sound must not resemble.

A tone is recognized by its frequencies. A burst resembles it if enough of the burst's simultaneous frequencies are
inside the tone's bands. A sweep resembles the tones that it passes slowly enough. A modulated tone also resembles the
tones that its sidebands match. Cadence does not count, because receivers and people react before the second pulse.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .profile import Profile, Segment

Band = tuple[float, float]
"""Lowest and highest frequency in Hz, both inclusive."""

_DWELL_MS: Final = 10.0
"""Time for which a sweep may be inside a tone's band without resembling the tone, in ms.

DTMF receivers ignore even twice this time (ITU-T Q.24).
"""
_STEP_HZ: Final = 15.0
"""Step in which a glide is examined, in Hz. It is half the narrowest band, so that no band is missed."""
_SIDEBAND_DEPTH: Final = 0.1
"""Minimum depth of a modulation whose sidebands count.

The sidebands of a shallower modulation are at least 26 dB below the tone.
"""


@dataclass(frozen=True, slots=True)
class NetworkTone:
    """A network tone. Each of its bursts has frequencies in `from_each` bands of each group."""

    name: str
    groups: tuple[tuple[Band, ...], ...]
    from_each: int = 1
    cadence: str = ""


def _around(*frequencies_hz: float, percent: float) -> tuple[Band, ...]:
    return tuple((f * (1 - percent / 100), f * (1 + percent / 100)) for f in frequencies_hz)


NETWORK_TONES: Final = (
    NetworkTone(
        "Japanese dial, second dial, busy or ring-back tone (400 Hz)",
        (_around(400, percent=5),),
        cadence="continuous, 125/125 or 150/150 ms, 500/500 ms, 1/2 s",
    ),
    NetworkTone("Japanese call waiting tone (440 Hz)", (_around(440, percent=5),), cadence="100/100/100/1000 ms"),
    # ITU-T Q.23. Q.24 allows receivers to accept up to 3.5 %.
    NetworkTone("DTMF", (_around(697, 770, 852, 941, percent=3.5), _around(1209, 1336, 1477, 1633, percent=3.5))),
    # ITU-T E.180: each tone ±50 Hz.
    NetworkTone("special information tone (SIT)", (((900, 1000), (1350, 1450), (1750, 1850)),), cadence="330 ms each"),
    # ITU-T T.30: CNG 1100 ± 38 Hz, CED 2100 ± 15 Hz.
    NetworkTone("fax calling tone (CNG)", (((1062, 1138),),), cadence="500/3000 ms"),
    NetworkTone("fax or modem answer tone (CED)", (((2085, 2115),),), cadence="2.6 to 4 s"),
    # ITU-T V.21, used by fax and text telephones.
    NetworkTone("modem (V.21)", (_around(980, 1180, 1650, 1850, percent=1.5),)),
    # ITU-T V.25 calling tone, and V.23 mark, which carries the caller's number to Japanese telephones.
    NetworkTone("modem calling tone or caller display (V.25, V.23)", (_around(1300, percent=1.5),)),
    # ITU-T Q.311 and Q.141.
    NetworkTone("line signalling (2400 or 2600 Hz)", (((2385, 2415), (2585, 2615)),)),
    # ITU-T Q.320 and Q.441: two of six.
    NetworkTone("MF signalling (R1)", (_around(700, 900, 1100, 1300, 1500, 1700, percent=2),), from_each=2),
    NetworkTone("MF signalling (R2 forward)", (_around(1380, 1500, 1620, 1740, 1860, 1980, percent=2),), from_each=2),
    NetworkTone("MF signalling (R2 backward)", (_around(540, 660, 780, 900, 1020, 1140, percent=2),), from_each=2),
)


def resembled_tones(profile: Profile) -> tuple[str, ...]:
    """The names of the network tones that the profile's bursts resemble."""
    return tuple(dict.fromkeys(tone.name for _, tone in resemblances(profile)))


def resemblances(profile: Profile) -> Iterator[tuple[int, NetworkTone]]:
    """Yield a segment index, from 0, and a tone for each resemblance, in the order of `NETWORK_TONES`."""
    moments = [
        (index, segment.on_ms, _moments(segment))
        for index, segment in enumerate(profile.segments)
        if segment.frequencies_hz
    ]
    for tone in NETWORK_TONES:
        for index, on_ms, spectra in moments:
            passed_ms = on_ms * sum(_matches(tone, spectrum) for spectrum in spectra) / len(spectra)
            if passed_ms >= min(_DWELL_MS, on_ms):
                yield index, tone


def spectrum_hz(segment: Segment, fraction: float) -> tuple[float, ...]:
    """All frequencies in Hz, including modulation sidebands, at `fraction` of the burst's duration."""
    carriers = segment.frequencies_at(fraction)
    modulation = segment.modulation
    if modulation is None or modulation.depth < _SIDEBAND_DEPTH:
        return carriers
    return tuple(carrier + shift for carrier in carriers for shift in (0, -modulation.rate_hz, modulation.rate_hz))


def _moments(segment: Segment) -> list[tuple[float, ...]]:
    """The burst's frequencies at equally spaced times."""
    count = 1
    if segment.sweep:
        spans = (abs(high - low) for low, high in zip(segment.frequencies_hz, segment.sweep.to_hz, strict=True))
        count = segment.sweep.steps or max(1, math.ceil(max(spans) / _STEP_HZ))
    return [spectrum_hz(segment, (number + 0.5) / count) for number in range(count)]


def _matches(tone: NetworkTone, frequencies_hz: tuple[float, ...]) -> bool:
    return all(
        sum(any(low <= frequency <= high for frequency in frequencies_hz) for low, high in group) >= tone.from_each
        for group in tone.groups
    )
