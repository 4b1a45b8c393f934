"""Recordings for the tests, built from synthesised sounds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile import Profile, build_profile
from idtone.tones.recordings.recorded_leg import RecordedLeg

from .profiles import make_profile, tone

Wave = NDArray[np.float64]

PU_PU = make_profile(tone(620, on_ms=100, off_ms=80), tone(620, on_ms=100))
"""A sound of two bursts, 280 ms long."""
LEAD_MS = 150


def with_silence(profile: Profile = PU_PU, sample_rate_hz: int = 48_000, lead_ms: float = LEAD_MS) -> Wave:
    """The profile's sound with silence before and after it."""
    silence = round(lead_ms * sample_rate_hz / 1000)
    return np.pad(synthesise(profile, sample_rate_hz), silence)


def noise(length: int, rms: float, seed: int = 1) -> Wave:
    return rms * np.random.default_rng(seed).standard_normal(length)


def legs(*channels: Wave, sample_rate_hz: int = 48_000) -> tuple[RecordedLeg, ...]:
    names = ("mono",) if len(channels) == 1 else tuple(f"channel {place}" for place in range(1, len(channels) + 1))
    return tuple(
        RecordedLeg(name, channel.astype(np.float32), sample_rate_hz)
        for name, channel in zip(names, channels, strict=True)
    )


def write(path: Path, wave: Wave, sample_rate_hz: int = 48_000, subtype: str | None = None, channels: int = 1) -> Path:
    soundfile.write(path, np.column_stack([wave] * channels), sample_rate_hz, subtype=subtype)
    return path


def recording_of(path: Path, from_ms: float = LEAD_MS, to_ms: float = LEAD_MS + 280, **more: Any) -> Profile:
    """A profile for a part of this recording, as if it had been loaded from a file."""
    return build_profile(_tree(path, from_ms, to_ms) | more, "test").model_copy(update={"recording": path})


def profile_file(path: Path, from_ms: float, to_ms: float) -> tuple[Path, str]:
    """Write a profile for a part of the recording, and return its file and the recording's SHA-256.

    The file is beside the recording.
    """
    tree, file = _tree(path, from_ms, to_ms), path.with_suffix(".yaml")
    file.write_text(json.dumps(tree))
    return file, tree["sha256"]


def _tree(path: Path, from_ms: float, to_ms: float) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "id": "test", "title": "Test", "level_dbm0": -16, "recording": path.name, "sha256": digest,
        "trim": {"from_ms": from_ms, "to_ms": to_ms},
    }  # fmt: skip
