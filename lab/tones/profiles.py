"""Profiles for the tests, built from values instead of files."""

from typing import Any

from idtone.tones.profile import Profile, build_profile


def tone(*frequencies_hz: float, on_ms: float = 200, **more: Any) -> dict[str, Any]:
    return {"frequencies_hz": frequencies_hz, "on_ms": on_ms, **more}


def make_profile(*segments: dict[str, Any], level_dbm0: float = -16, **more: Any) -> Profile:
    tree = {"id": "test", "title": "Test", "level_dbm0": level_dbm0, "segments": segments}
    return build_profile(tree | more, "test")


def recording(**more: Any) -> Profile:
    """A profile that is a recording: the first tenth of a second of a master that does not exist."""
    tree = {"id": "test", "title": "Test", "level_dbm0": -16, "trim": {"to_ms": 100}}
    return build_profile(tree | {"recording": "master.wav", "sha256": "0" * 64} | more, "test")
