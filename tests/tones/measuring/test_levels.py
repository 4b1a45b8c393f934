from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.measuring.levels import SILENCE_DB, SINE_DBOV, dbm0, power_db
from idtone.tones.profile import Law


def test_a_square_wave_at_full_scale_is_0_dbov_and_a_sine_3_less():
    assert power_db(1.0) == 0
    sine = np.sin(2 * np.pi * np.arange(8000) / 80)
    assert power_db(float(np.mean(sine**2))) == pytest.approx(-3.01, abs=0.001)


@pytest.mark.parametrize(("law", "overload_dbm0"), [(Law.A, 3.14), (Law.MU, 3.20)])
def test_a_sine_at_full_scale_in_dbm0(law, overload_dbm0):
    assert dbm0(SINE_DBOV, law) == pytest.approx(overload_dbm0, abs=0.006)


def test_silence_has_a_level():
    assert power_db(0.0) == SILENCE_DB
    assert dbm0(SILENCE_DB, Law.A) == SILENCE_DB
