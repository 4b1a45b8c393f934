"""Computes sums over spans of a baseband from a running sum.

The time that a sum takes therefore does not depend on the span's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .screening import RATE_HZ, Reals

HOP: Final = 16
FRAMES_PER_S: Final = RATE_HZ / HOP

Floats = NDArray[np.floating[Any]]


def soft_sums(values: NDArray[Any], softness: int) -> NDArray[Any]:
    """The running sum over the first axis, one longer, averaged over `softness` frames."""
    frames = len(values)
    half = softness // 2
    sums = np.zeros((frames + 1 + 2 * half + 1, *values.shape[1:]), values.dtype)
    np.cumsum(values, axis=0, out=sums[half + 2 : half + 2 + frames])
    sums[half + 2 + frames :] = sums[half + 1 + frames]
    twice = np.cumsum(sums, axis=0)
    soft: NDArray[Any] = (twice[softness:] - twice[:-softness]) / softness
    return soft


@dataclass(frozen=True, slots=True)
class Position:
    """Fractional positions in a running sum, for linear interpolation along its first axis."""

    index: NDArray[np.intp]
    share: Reals

    @classmethod
    def at(cls, position: Floats, frames: int) -> Position:
        """The positions, clipped to both ends of a sum over `frames` frames."""
        clipped = np.clip(position, 0, frames - 0.001)
        index = clipped.astype(np.intp)
        return cls(index, (clipped - index).astype(np.float32)[..., None])

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The interpolated values, of shape positions × second axis of `values`."""
        found: NDArray[Any] = values[self.index]
        found += (values[self.index + 1] - found) * self.share
        return found


@dataclass(frozen=True, slots=True)
class Spans:
    """Starts and ends of a component under several hypotheses, in seconds and as positions in a running sum."""

    first: Position
    last: Position
    starts: Floats
    ends: Floats

    @property
    def frames(self) -> Floats:
        return np.asarray((self.ends - self.starts) * FRAMES_PER_S)[..., None]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.first.index.shape

    def at(self, row: int, column: int) -> Spans:
        """The span at this row and column."""
        first, last = (Position(each.index[row, column], each.share[row, column]) for each in (self.first, self.last))
        return Spans(first, last, self.starts[row, column], self.ends[row, column])
