from __future__ import annotations

import numpy as np

from idtone.tones.recordings.leg import Leg


def test_lengths() -> None:
    leg = Leg("mono", np.zeros(8000, np.float32), 16_000, lost=((0, 160), (800, 1600)))
    assert leg.duration_ms == 500
    assert leg.lost_ms == 60
    assert Leg("mono", np.zeros(8, np.float32), 8000).lost_ms == 0
