"""Sliding counts of events over a minute and an hour, in bounded memory.

A window consists of the current half and the previous half, so it covers the last 30 to 60 s, or the last 30 to 60 min.
Distinct numbers per minute are exact. Distinct numbers per hour are counted in a bitmap of `BITS` bits (linear
counting, Whang et al. 1990), at positions that a secret key selects. The standard error is 2 % up to 3000 numbers and 6
% at 10,000. Each bit stands for thousands of numbers, so no number can be recovered.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

HALF_MINUTE_S: Final = 30.0
HALF_HOUR_S: Final = 1800.0
BITS: Final = 2048
MOST_DISTINCT: Final = 8192
"""Maximum number of distinct numbers counted in half a minute, which is more than any limit."""
_MASK: Final = (1 << 64) - 1
_PART: Final = (1 << 64) // BITS


class Positions:
    """Bitmap positions of telephone numbers, selected by a key of at least 24 bytes.

    Multiplying by odd secrets, with shifts in between, spreads consecutive numbers evenly. A sum alone would not.
    """

    def __init__(self, key: bytes) -> None:
        self._plus, self._once, self._twice = (int.from_bytes(key[at : at + 8], "big") | 1 for at in (0, 8, 16))

    def bits(self, texts: Iterable[str]) -> int:
        """Bitmap with the positions of the given texts."""
        bits, plus, once, twice = 0, self._plus, self._once, self._twice
        for text in texts:
            digits = text[1:]
            number = (
                int(digits) if digits.isdecimal() and len(digits) < 20 else int.from_bytes(text.encode()[:64], "big")
            )
            mixed = (number + plus) * once & _MASK
            mixed = (mixed ^ mixed >> 32) * twice & _MASK
            bits |= 1 << ((mixed ^ mixed >> 29) * once & _MASK) // _PART
        return bits


@lru_cache(maxsize=BITS + 1)
def _estimate(ones: int) -> int:
    return round(-BITS * math.log1p(-min(ones, BITS - 1) / BITS))


def distinct_count(bits: int) -> int:
    """Approximate number of distinct texts in a bitmap; at most 15,615 for a full bitmap."""
    return _estimate(bits.bit_count())


class Halves:
    """Count over the current and previous halves of a window."""

    __slots__ = ("before", "now")

    def __init__(self, now: int = 0, before: int = 0) -> None:
        self.now, self.before = now, before

    @property
    def total(self) -> int:
        return self.now + self.before

    def advance(self, halves: int) -> None:
        """Start a new half after the given number of halves have passed."""
        self.before = self.now if halves == 1 else 0
        self.now = 0
