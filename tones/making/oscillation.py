"""Sine waves in blocks, computed fast and with identical bits on every machine.

All operations are single additions, multiplications and roundings. IEEE 754 defines their results to the last bit,
whereas `numpy.sin`, libm and fused operations differ between processors and builds. After every `_RUN` blocks the phase
is computed from exact fractions, so it does not drift. The blocks in between follow from the two previous blocks with
two operations per sample: sin(x + 2d) = 2·cos(d)·sin(x + d) - sin(x).
"""

import math
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
"""Samples of one channel. 1.0 is full scale, which is 32 768 in 16-bit PCM."""

BLOCK: Final = 16_384
"""Number of samples in a block.

It is large enough to make numpy's overhead per operation negligible, and small enough for the second-level cache.
"""
_RUN: Final = 256
"""Number of blocks from one exact phase to the next. The error of the recurrence stays below 1e-11."""
_GLIDING_RUN: Final = 128
_START: Final = Fraction(0)
_SINE: Final = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(11))
"""Taylor coefficients of the sine. Up to a quarter turn, the rest of the series is below 2e-18."""


class Wave(Protocol):
    """A wave computed in blocks."""

    def block(self, first: int, length: int) -> Samples:
        """`length` samples starting at sample `first`. The caller must neither change nor keep them."""
        ...


def exact_fraction(value: float) -> Fraction:
    """The exact value of the number as written. For example, 0.1 is exactly a tenth."""
    return Fraction(repr(value))


def sine(turns: Samples) -> Samples:
    """sin(2π·turns), computed identically on every machine."""
    half = turns - np.rint(turns)
    quarter = np.where(np.abs(half) > 0.25, np.copysign(0.5, half) - half, half)
    angle = quarter * (2 * math.pi)
    square = angle * angle
    series = np.full_like(angle, _SINE[-1])
    for coefficient in reversed(_SINE[:-1]):
        np.multiply(series, square, out=series)
        np.add(series, coefficient, out=series)
    return series * angle


def raised_cosine(share: Samples) -> Samples:
    """The height of a ramp, from 0 to 1, at `share` of its length: sin²(`share` · π/2)."""
    rising = sine(share / 4)
    return rising * rising


def sine_of(turns: Fraction) -> float:
    """sin(2π·turns) for one angle of any size."""
    return float(sine(np.array([float(turns % 1)]))[0])


class Tone:
    """A sine wave, gain · sin(2π(phase + frequency · n)). Phase is in turns, frequency in turns per sample.

    Consecutive blocks of `whole` samples are computed fast.
    """

    def __init__(self, frequency: Fraction, whole: int, gain: float = 1.0, phase: Fraction = _START) -> None:
        self._frequency, self._phase, self._gain, self._whole = frequency, phase, gain, whole
        self._twice_cosine = 0.0
        self._next = 0
        self._run = 0
        self._before = self._last = self._scratch = np.empty(0)

    def block(self, first: int, length: int) -> Samples:
        if length != self._whole:
            return self._exactly(first, length)
        if first != self._next or self._run == _RUN:
            self._run = 0
        if self._run < 2:
            self._before, self._last = self._last, self._exactly(first, length)
        else:
            if not self._scratch.size:
                self._scratch = np.empty(length)
                self._twice_cosine = 2 * sine_of(self._frequency * length + Fraction(1, 4))
            np.multiply(self._last, self._twice_cosine, out=self._scratch)
            np.subtract(self._scratch, self._before, out=self._before)
            self._before, self._last = self._last, self._before
        self._run += 1
        self._next = first + length
        return self._last

    def _exactly(self, first: int, length: int) -> Samples:
        turns = np.arange(length, dtype=np.float64) * float(self._frequency)
        turns += float((self._phase + self._frequency * first) % 1)
        return sine(turns) * self._gain


class Glide:
    """A sine wave with a linear sweep, gain · sin(2π(frequency · n + bend · n²)).

    From one whole block to the next, each sample turns by its own angle, and all these angles grow by the same amount.
    Each block is therefore the previous block rotated by these angles. The rotation follows the same recurrence as a
    `Tone`.
    """

    def __init__(self, frequency: Fraction, bend: Fraction, whole: int, gain: float = 1.0) -> None:
        self._frequency, self._bend, self._gain, self._whole = frequency, bend, gain, whole
        self._next = 0
        self._run = 0
        self._wave = self._turn = self._turn_before = self._scratch = np.empty((2, 0))

    def block(self, first: int, length: int) -> Samples:
        if length != self._whole:
            return sine(self._turns(first, length)) * self._gain
        if first != self._next or self._run in (0, _GLIDING_RUN):
            self._begin(first)
            self._run = 0
        else:
            self._turn_block()
        self._run += 1
        self._next = first + length
        block: Samples = self._wave[0]
        return block

    def _turns(self, first: int, length: int) -> Samples:
        position = np.arange(length, dtype=np.float64)
        turns = position * float(self._bend)
        turns += float((self._frequency + 2 * self._bend * first) % 1)
        turns *= position
        turns += float((self._frequency + self._bend * first) * first % 1)
        return turns

    def _begin(self, first: int) -> None:
        """Compute sine and cosine of the block, of the turn to the next block, and of the turn from the last block."""
        turns = self._turns(first, self._whole)
        self._wave = np.stack([sine(turns), sine(turns + 0.25)]) * self._gain
        grows = 2 * self._bend * self._whole
        self._twice_cosine = 2 * sine_of(grows * self._whole + Fraction(1, 4))
        within = np.arange(self._whole, dtype=np.float64) * float(grows)
        for start in (first - self._whole, first):
            turn = within + float((self._frequency + self._bend * (2 * start + self._whole)) * self._whole % 1)
            self._turn_before, self._turn = self._turn, np.stack([sine(turn), sine(turn + 0.25)])
        self._scratch = np.empty((2, self._whole))

    def _turn_block(self) -> None:
        (sines, cosines), (turn_sines, turn_cosines) = self._wave, self._turn
        one, other = self._scratch
        np.multiply(sines, turn_sines, out=one)
        np.multiply(cosines, turn_sines, out=other)
        np.multiply(self._wave, turn_cosines, out=self._wave)
        np.add(sines, other, out=sines)
        np.subtract(cosines, one, out=cosines)
        np.multiply(self._turn, self._twice_cosine, out=self._scratch)
        np.subtract(self._scratch, self._turn_before, out=self._turn_before)
        self._turn, self._turn_before = self._turn_before, self._turn
