"""Levels of samples, where 1.0 is full scale.

0 dBov is the power of a full-scale square wave (ITU-T G.100.1), so a full-scale sine has -3.01 dBov. 0 dBm0 is the
digital milliwatt of a law (ITU-T G.711).
"""

import math
from typing import Final

from ..profile import Law

SINE_DBOV: Final = 20 * math.log10(math.sqrt(0.5))
"""Level of a full-scale sine, in dBov."""
SILENCE_DB: Final = -200.0
"""Level reported for digital silence, so that reports contain a number instead of minus infinity."""


def power_db(power: float) -> float:
    """A power ratio in dB, at least -200. For the power of samples, this is the level in dBov."""
    return max(SILENCE_DB, 10 * math.log10(power)) if power > 0 else SILENCE_DB


def dbm0(level_dbov: float, law: Law) -> float:
    return level_dbov - SINE_DBOV + law.full_scale_dbm0 if level_dbov > SILENCE_DB else SILENCE_DB
