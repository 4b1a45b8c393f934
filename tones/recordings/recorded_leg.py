"""Represents one direction of a recorded call as samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RecordedLeg:
    """The sound that one party of a call sent, as one channel of samples.

    In `samples`, 1.0 is full scale (32 768 in 16 bits). `lost` lists the spans (first, end) of missing samples, which
    are zero in `samples`. `name` distinguishes the legs of a recording, for example "left" or "10.0.0.1:4000 →
    10.0.0.2:4002 (PCMU)". It contains no telephone number.
    """

    name: str
    samples: NDArray[np.float32]
    sample_rate_hz: int
    lost: tuple[tuple[int, int], ...] = ()

    @property
    def duration_ms(self) -> float:
        return 1000 * len(self.samples) / self.sample_rate_hz

    @property
    def lost_ms(self) -> float:
        return 1000 * sum(end - first for first, end in self.lost) / self.sample_rate_hz
