"""Triangular dither from a seed, the same on every machine."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_HALF: Final = 2**32


class Dither:
    """Noise of at most one 16-bit step. It is the difference of two uniform numbers, so its density is triangular.

    It uses the bits of PCG64 itself, which numpy promises to keep; numpy does not promise this for its distributions.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def steps(self, length: int) -> NDArray[np.float64]:
        """The next `length` values, above -1 and below 1. Several short calls give the same values as one long call."""
        raw = self._bits.random_raw(length)
        noise = (raw >> np.uint64(32)).astype(np.float64)
        noise -= (raw & np.uint64(_HALF - 1)).astype(np.float64)
        noise /= _HALF
        return noise
