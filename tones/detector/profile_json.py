"""A tone profile in the format that the browser's detector reads.

The file contains the sound's plan and all rules of the verifier, so a threshold changed in Python also changes in the
browser.
"""

import json
import re
from dataclasses import asdict
from types import ModuleType
from typing import Any, Final

import numpy as np

from ..making.waveform import waveform
from ..profile import Profile
from ..verification import fit, log_odds, part_measurements, part_tests, screening, surroundings, verifier
from ..verification.screening import RATE_HZ, Screen
from ..verification.sound_plan import plan_of

FORMAT: Final = 1
"""Version of the format, increased when an older detector would misread the file."""
_CONSTANT: Final = re.compile(r"_?[A-Z][A-Z0-9_]*")
_MODULES: Final = {
    "fit": fit,
    "part_tests": part_tests,
    "log_odds": log_odds,
    "parts": part_measurements,
    "screening": screening,
    "surroundings": surroundings,
    "verify": verifier,
}
"""Key of a module's rules in the file → the module."""


def profile_json(profile: Profile) -> str:
    """The profile as JSON text for `profileFromJson`. Raises ToneError if the verifier cannot search for it."""
    plan = plan_of(profile)
    own = waveform(profile, RATE_HZ).astype(np.float32)
    calibration = log_odds.calibration()
    names = [*log_odds.Features.__slots__, "constant"]
    return json.dumps(
        {
            "format": FORMAT,
            "id": profile.id,
            "title": profile.title,
            "tolerance": profile.tolerance.model_dump(),
            "peak": float(np.abs(own).max()),
            "components": [asdict(each) for each in plan.components],
            "screen": Screen(plan, own).to_json(),
            "evidence": {
                "weights": dict(zip(names, calibration.weights, strict=True)),
                "threshold": calibration.threshold,
                "grey": calibration.grey,
                "false_alarms_per_hour": calibration.false_alarms_per_hour,
            },
            "rules": {name: _rules(module) for name, module in _MODULES.items()},
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def _rules(module: ModuleType) -> dict[str, Any]:
    """The module's numeric constants: numbers, tuples of numbers, and arrays."""
    found = {
        name.lstrip("_"): value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(module).items()
        if _CONSTANT.fullmatch(name)
    }
    return {name: value for name, value in found.items() if _numbers(value)}


def _numbers(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)
