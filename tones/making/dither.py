"""Triangular dither from a seed, identical on every machine."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_HALF: Final = 2**32


class Dither:
    """Noise of less than one 16-bit step.

    The noise is the difference of two uniform numbers, so its density is triangular. It uses the raw bits of PCG64,
    which numpy promises not to change. numpy does not promise this for its distributions.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def steps(self, length: int) -> NDArray[np.float64]:
        """The next `length` values, above -1 and below 1. Several calls give the same values as one long call."""
        raw = self._bits.random_raw(length)
        noise = (raw >> np.uint64(32)).astype(np.float64)
        noise -= (raw & np.uint64(_HALF - 1)).astype(np.float64)
        noise /= _HALF
        return noise
