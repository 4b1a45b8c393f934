"""Plays samples on this machine's sound device, using sounddevice or a program of the sound system."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idtone.core.errors import UsageError
from idtone.core.translation import Message

_BLOCK: Final = 1 << 16
_ADVICE: Final = Message(
    "Install the package alsa-utils, or pip install 'idtone[play]', on a machine with a sound device"
)

_PROGRAMS: Final[dict[str, tuple[str, ...]]] = {
    "pw-play": ("--raw", "--format=s16", "--channels=1", "--rate={rate}", "-"),
    "paplay": ("--raw", "--format=s16le", "--channels=1", "--rate={rate}"),
    "aplay": ("-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}", "-"),
}
"""Programs that play samples from standard input.

Programs of sound servers come first, because a running sound server keeps the device open.
"""


def play_samples(samples: NDArray[Any], sample_rate_hz: int) -> str:
    """Play samples to the end, and return the player's name. Raises UsageError if there is no working player."""
    failures = []
    if (failure := _by_sounddevice(samples, sample_rate_hz)) is None:
        return "sounddevice"
    failures.append(failure)
    for name, options in _PROGRAMS.items():
        program = shutil.which(name)
        if program is None:
            continue
        command = [program, *(option.format(rate=sample_rate_hz) for option in options)]
        if (failure := _by_program(command, samples)) is None:
            return name
        failures.append(f"{name}: {failure}")
    reasons = "; ".join(failure for failure in failures if failure)
    if reasons:
        raise UsageError("this machine has no player that works ({reasons}). {advice}", reasons=reasons, advice=_ADVICE)
    raise UsageError("this machine has no player that works. {advice}", advice=_ADVICE)


def _by_sounddevice(samples: NDArray[Any], sample_rate_hz: int) -> str | None:
    """Play with sounddevice. Returns None on success, "" if it is not installed, or the error message."""
    try:
        import sounddevice
    except ImportError:
        return ""
    except OSError as error:
        # sounddevice is installed without the PortAudio library.
        return f"sounddevice: {error}"
    try:
        with sounddevice.RawOutputStream(samplerate=sample_rate_hz, channels=1, dtype="int16") as stream:
            for block in _blocks(samples):
                stream.write(block)
    except (sounddevice.PortAudioError, ValueError) as error:
        return f"sounddevice: {error}"
    return None


def _by_program(command: list[str], samples: NDArray[Any]) -> str | None:
    """Play with a program. Returns None on success, or the program's error message."""
    try:
        process = subprocess.Popen(  # noqa: S603  # found in PATH by its fixed name
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        return error.strerror or str(error)
    with process:
        assert process.stdin
        assert process.stderr
        try:
            for block in _blocks(samples):
                process.stdin.write(block)
            process.stdin.close()
        except BrokenPipeError:
            # The program has ended. Its message and exit code give the reason.
            pass
        message = process.stderr.read(4096).decode(errors="replace").strip()
        if process.wait() == 0:
            return None
    return message.splitlines()[0] if message else f"{Path(command[0]).name} ended with {process.returncode}"


def _blocks(samples: NDArray[Any]) -> Iterator[bytes]:
    for first in range(0, len(samples), _BLOCK):
        pcm = np.clip(np.rint(np.asarray(samples[first : first + _BLOCK], np.float64) * 32768), -32768, 32767)
        yield pcm.astype("<i2").tobytes()
