from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idtone.tones.runs import runs


@given(st.lists(st.booleans(), max_size=60))
def test_runs_rebuild_the_mask(mask):
    found = runs(np.array(mask, np.bool_))
    again = np.zeros(len(mask), np.bool_)
    for first, end in found:
        assert first < end
        again[first:end] = True
    assert again.tolist() == mask
    assert (found[1:, 0] > found[:-1, 1]).all(), "each is as long as can be"
