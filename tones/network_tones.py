"""The tones of the telephone network that no sound of ours may be taken for.

A tone is recognised by its frequencies: a burst resembles it when enough of them lie inside its bands.
Cadence is left aside on purpose, since receivers and people react before they have heard the second pulse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .profile import Profile

Band = tuple[float, float]
"""Lowest and highest frequency in Hz, both inside."""


@dataclass(frozen=True, slots=True)
class NetworkTone:
    """`groups` of bands: a burst must have `from_each` of its frequencies in every group."""

    name: str
    groups: tuple[tuple[Band, ...], ...]
    from_each: int = 1


def _around(*frequencies_hz: float, percent: float) -> tuple[Band, ...]:
    return tuple((f * (1 - percent / 100), f * (1 + percent / 100)) for f in frequencies_hz)


NETWORK_TONES: Final = (
    NetworkTone("Japanese dial, second dial, busy or ring-back tone (400 Hz)", (_around(400, percent=5),)),
    NetworkTone("Japanese call waiting tone (440 Hz)", (_around(440, percent=5),)),
    # ITU-T Q.23; Q.24 lets receivers accept up to 3.5 %.
    NetworkTone("DTMF", (_around(697, 770, 852, 941, percent=3.5), _around(1209, 1336, 1477, 1633, percent=3.5))),
    # ITU-T E.180: each tone ±50 Hz.
    NetworkTone("special information tone (SIT)", (((900, 1000), (1350, 1450), (1750, 1850)),)),
    # ITU-T T.30: CNG 1100 ± 38 Hz, CED 2100 ± 15 Hz.
    NetworkTone("fax calling tone (CNG)", (((1062, 1138),),)),
    NetworkTone("fax or modem answer tone (CED)", (((2085, 2115),),)),
    # ITU-T V.21, which fax and text telephones speak.
    NetworkTone("modem (V.21)", (_around(980, 1180, 1650, 1850, percent=1.5),)),
    # ITU-T Q.320 and Q.441: two of six.
    NetworkTone("MF signalling (R1)", (_around(700, 900, 1100, 1300, 1500, 1700, percent=2),), from_each=2),
    NetworkTone("MF signalling (R2 forward)", (_around(1380, 1500, 1620, 1740, 1860, 1980, percent=2),), from_each=2),
    NetworkTone("MF signalling (R2 backward)", (_around(540, 660, 780, 900, 1020, 1140, percent=2),), from_each=2),
)


def resembled(profile: Profile) -> tuple[str, ...]:
    """The names of the network's tones that some burst of the profile could be taken for."""
    bursts = [segment.frequencies_hz for segment in profile.segments if segment.frequencies_hz]
    return tuple(tone.name for tone in NETWORK_TONES if any(_matches(tone, burst) for burst in bursts))


def _matches(tone: NetworkTone, frequencies_hz: tuple[float, ...]) -> bool:
    return all(
        sum(any(low <= frequency <= high for low, high in group) for frequency in frequencies_hz) >= tone.from_each
        for group in tone.groups
    )
