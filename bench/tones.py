"""Speed of making and writing an hour of sound: idtone, sox, ffmpeg and memcpy, in turns in one run.

    python -m bench.tones [--seconds S] [--repeats N] [--json]

All write to one folder, which is in memory if the machine has such a file system. They take turns, so that other load
slows all of them; the figures are medians. For idtone, making and writing the samples is timed, without the hash that
the command prints.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from idtone.tones.making.waveform import pcm_blocks
from idtone.tones.profile import Profile, build_profile

from .bench_output import options, report

RATE_HZ: Final = 8000
HOUR_S: Final = 3600.0
REPEATS: Final = 5
BASELINE: Final = "memcpy to the file"
_PIECE: Final = 1024 * 1024
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108  only a folder in it is used


def profiles(seconds: float) -> Mapping[str, Profile]:
    """Profiles of an hour by name, made of bursts of 0.18 s with the most repeats allowed."""

    def profile(
        name: str, *frequencies_hz: float, on_ms: float = 1000 * seconds, off_ms: float = 0, **more: Any
    ) -> None:
        segment = {"frequencies_hz": frequencies_hz, "on_ms": on_ms, "off_ms": off_ms}
        segment |= {key: more.pop(key) for key in ("modulation", "sweep") if key in more}
        tree = {"id": "bench", "title": "Benchmark", "level_dbm0": -16, "segments": [segment]}
        made[name] = build_profile(tree | more, name)

    made: dict[str, Profile] = {}
    repeat = max(1, round(seconds / 0.36))
    profile("bursts of 400 Hz", 400, on_ms=180, off_ms=180, repeat=repeat)
    profile("bursts beside the samples", 400, on_ms=180.06, off_ms=179.9, repeat=repeat)
    profile("400 + 450 Hz, AM 16 Hz", 400, 450, modulation={"rate_hz": 16, "depth": 0.8})
    profile("1234.567 Hz", 1234.567)
    profile("1234.56789 Hz", 1234.56789)
    profile("400.3 + 1234.567 Hz", 400.3, 1234.567)
    profile("400.3 + 1234.567 Hz, AM 16.7 Hz", 400.3, 1234.567, modulation={"rate_hz": 16.7, "depth": 0.8})
    profile("sweep of 100 stairs", 400.3, sweep={"to_hz": [1999.9], "steps": 100})
    profile("sweep, gliding", 400.3, sweep={"to_hz": [1999.9]})
    profile("1234.567 Hz, dithered", 1234.567, dither_seed=1)
    return made


def write_ours(profile: Profile, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for block in pcm_blocks(profile, RATE_HZ):
            file.write(block.data)


def copy_to_file(samples: memoryview, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for first in range(0, len(samples), _PIECE):
            file.write(samples[first : first + _PIECE])


def other_programs(seconds: float, path: Path) -> Sequence[list[str]]:
    """Commands of sox and ffmpeg that write the same tone."""
    return (
        f"sox -n -r {RATE_HZ} -c 1 -b 16 -e signed -t raw {path} synth {seconds} sine 1234.567 gain -19".split(),
        f"ffmpeg -y -loglevel error -f lavfi "
        f"-i sine=frequency=1234.567:sample_rate={RATE_HZ}:duration={seconds} -f s16le {path}".split(),
    )


def measure(seconds: float, repeats: int) -> dict[str, dict[str, float] | str]:
    """Times that each program takes to make each format, with the programs in turns."""
    samples = np.arange(round(seconds * RATE_HZ), dtype=np.int16)
    elsewhere = np.empty_like(samples)
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None) as folder:
        path = Path(folder, "hour.sln")
        ways: dict[str, Callable[[], object]] = {
            "memcpy in memory": partial(np.copyto, elsewhere, samples),
            BASELINE: partial(copy_to_file, samples.data.cast("B"), path),
        }
        ways |= {name: partial(write_ours, profile, path) for name, profile in profiles(seconds).items()}
        found: dict[str, dict[str, float] | str] = {}
        for command in other_programs(seconds, path):
            if shutil.which(command[0]):
                ways[f"{command[0]}, 1234.567 Hz"] = partial(subprocess.run, command, check=True)
            else:
                found[f"{command[0]}, 1234.567 Hz"] = "not here"
        times_s: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                path.unlink(missing_ok=True)
                begun = time.perf_counter()
                way()
                times_s[name].append(time.perf_counter() - begun)
    medians_s = {name: statistics.median(each) for name, each in times_s.items()}
    for name, median_s in medians_s.items():
        speeds = {"of_memcpy": medians_s[BASELINE] / median_s, "times_real_time": seconds / median_s}
        found[name] = {"median_ms": 1000 * median_s, **speeds}
    return found


def main(arguments: list[str] | None = None) -> None:
    chosen = options(__doc__, seconds=HOUR_S, repeats=REPEATS).parse_args(arguments)
    report(f"{chosen.seconds:g} s at {RATE_HZ} Hz", measure(chosen.seconds, chosen.repeats), chosen.json)


if __name__ == "__main__":
    main()
