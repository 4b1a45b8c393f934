"""The public site's sounds: identification sounds, notices, and other telephone tones for comparison."""

import io
import math
import wave
from array import array
from importlib.resources import files
from pathlib import Path
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.files import read_octets

RATE_HZ: Final = 8000
_LEVEL: Final = 5_000
_RAMP: Final = 40
"""Length of a ramp in samples."""
_LONGEST_BYTES: Final = 2_000_000

# Frequencies in Hz, and on and off in ms, again and again. NTT's technical reference of the telephone service (Japan).
NETWORK_TONES: Final = {
    "busy": ((400.0,), (500, 500)),
    "ring-back": ((385.0, 400.0, 415.0), (1000, 2000)),
    "call-waiting": ((440.0,), (100, 100, 100, 1000)),
    "second-dial": ((400.0,), (125, 125)),
}
_LASTS_MS: Final = 3000
_SIGNS: Final = {
    "menu": ((660.0,), (150, 50), 200),
    "right": ((880.0,), (100, 60), 320),
    "wrong": ((220.0,), (400, 100), 500),
    "bye": ((550.0,), (300, 100), 400),
}
"""Tones that the test number plays until its operator has recorded announcements."""
_TAIL: Final = bytes(2 * 400)
"""Silence appended to a file because Asterisk drops a file's last samples."""


def shipped_sounds() -> dict[str, bytes]:
    """Sample, notice and other telephone tones as WAV files, by file name."""
    shipped = files("idtone.config") / "sounds"
    found = {f"{name}.wav": _wav((shipped / f"{name}.sln").read_bytes() + _TAIL) for name in ("sample", "notice")}
    return found | {f"{name}.wav": _wav(_tone(*tone, _LASTS_MS) + _TAIL) for name, tone in NETWORK_TONES.items()}


def dialplan_sounds() -> dict[str, bytes]:
    """Files that the test number's dialplan plays, by file name."""
    signs = {f"{name}.wav": _wav(_tone(*tone) + _TAIL) for name, tone in _SIGNS.items()}
    return shipped_sounds() | signs


def given_sound(path: Path) -> bytes:
    """Read the association's WAV file for the public. Raises UsageError."""
    try:
        octets = read_octets(path, UsageError)
        with wave.open(io.BytesIO(octets)) as recording:
            is_short = recording.getnframes() > 0 and len(octets) <= _LONGEST_BYTES
    except (wave.Error, EOFError) as error:
        raise UsageError("{path}: is not a WAV file with plain samples", path=path) from error
    if not is_short:
        raise UsageError("{path}: is empty, or longer than a sound of this page", path=path)
    return octets


def _tone(frequencies_hz: tuple[float, ...], cadence_ms: tuple[int, ...], lasts_ms: int) -> bytes:
    samples = array("h")
    lasts = lasts_ms * RATE_HZ // 1000
    while len(samples) < lasts:
        for place, length_ms in enumerate(cadence_ms):
            count = length_ms * RATE_HZ // 1000
            samples.extend(_burst(frequencies_hz, count) if place % 2 == 0 else [0] * count)
    return samples[:lasts].tobytes()


def _burst(frequencies_hz: tuple[float, ...], count: int) -> list[int]:
    return [
        round(
            _LEVEL
            * min(1.0, at / _RAMP, (count - at) / _RAMP)
            * sum(math.sin(2 * math.pi * each * at / RATE_HZ) for each in frequencies_hz)
            / len(frequencies_hz)
        )
        for at in range(count)
    ]


def _wav(samples: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(RATE_HZ)
        recording.writeframes(samples)
    return made.getvalue()
