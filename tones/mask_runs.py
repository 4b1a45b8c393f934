"""Runs of True in a mask."""

import numpy as np
from numpy.typing import NDArray


def mask_runs(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """One row for each run: the first index, and the index after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2)
