"""Computes the amplitude for a level, and checks a sound's sample rate.

Decimal arithmetic makes the amplitude identical to the last bit on every machine.
"""

from decimal import Decimal
from typing import Final

from idtone.core.errors import ToneError

from ..profile import Law

LOWEST_RATE_HZ: Final = 8000


def amplitude(level_dbm0: float, law: Law = Law.A) -> float:
    """The peak amplitude of a sine at this level, where 1.0 is full scale."""
    overload_dbm0, peak = law.overload
    return float(Decimal(10) ** ((Decimal(str(level_dbm0)) - overload_dbm0) / 20) * peak / 32768)


def check_sample_rate(sample_rate_hz: int) -> None:
    """Raise ToneError if the sample rate is too low for the telephone band."""
    if sample_rate_hz < LOWEST_RATE_HZ:
        raise ToneError(
            "{sample_rate_hz} Hz is too low for the telephone band; use {lowest_rate_hz} Hz or more",
            sample_rate_hz=sample_rate_hz,
            lowest_rate_hz=LOWEST_RATE_HZ,
        )
