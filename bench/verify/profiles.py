"""The sounds of the experiment: the shipped sounds, and one of each kind that a licensee might bring."""

from typing import Any, Final

from idtone.tones.profile import Profile, build_profile
from idtone.tones.profile_library import load_library

_OTHERS: Final[dict[str, list[dict[str, Any]]]] = {
    # The "pu pu" by which the field knows the sound.
    "two-pulses": [{"frequencies_hz": [400], "on_ms": 100, "off_ms": 100}] * 2,
    "two-tones-at-once": [
        {"frequencies_hz": [620, 860], "on_ms": 150, "off_ms": 80, "ramp_ms": 10},
        {"frequencies_hz": [620, 860], "on_ms": 250, "ramp_ms": 10},
    ],
    "trembling": [
        {"frequencies_hz": [1250], "on_ms": 300, "off_ms": 100, "modulation": {"rate_hz": 20, "depth": 0.8}},
        {"frequencies_hz": [1250], "on_ms": 200},
    ],
    "sweep": [
        {"frequencies_hz": [600], "on_ms": 300, "off_ms": 60, "ramp_ms": 10, "sweep": {"to_hz": [1200]}},
        {"frequencies_hz": [1200], "on_ms": 150, "ramp_ms": 10},
    ],
    "one-long": [{"frequencies_hz": [1004], "on_ms": 500, "ramp_ms": 10}],
    "five-quick": [{"frequencies_hz": [880], "on_ms": 50, "off_ms": 50}] * 5,
}


def profiles() -> dict[str, Profile]:
    """Sound profiles by id, the shipped profiles first."""
    return dict(load_library()) | {
        name: build_profile({"id": name, "title": name, "level_dbm0": -16, "segments": segments}, name)
        for name, segments in _OTHERS.items()
    }
