"""Runs of True in a mask."""

import numpy as np
from numpy.typing import NDArray


def mask_runs(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Each run as a row with its first index and the index after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2)
