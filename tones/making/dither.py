"""Triangular dither from a seed, the same on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_HALF: Final = 2**32


class Dither:
    """Noise of one step of 16 bits: the difference of two uniform numbers, so its density is a triangle.

    The bits are those of PCG64 itself, which numpy promises to keep; its distributions are not promised.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def steps(self, length: int) -> NDArray[np.float64]:
        """The next `length` values, above -1 and below 1; how the calls divide them makes no difference."""
        raw = self._bits.random_raw(length)
        noise = (raw >> np.uint64(32)).astype(np.float64)
        noise -= (raw & np.uint64(_HALF - 1)).astype(np.float64)
        noise /= _HALF
        return noise
