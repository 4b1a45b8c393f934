"""How fast an hour of sound is made and written: ours, sox, ffmpeg and memcpy side by side in one run.

    python -m tests.bench.tones [--json]

Everything is written to one place, in memory where the machine has such a folder. The rows take turns, so
that what slows the machine down slows all of them; the figures are medians. Of ours, what is timed is the
samples and their way into the file, not the hash that the command prints beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from idtone.tones.making.waveform import pcm_blocks
from idtone.tones.profile import Profile, build_profile

RATE_HZ: Final = 8000
HOUR_S: Final = 3600
REPEATS: Final = 5
BASELINE: Final = "memcpy to the file"
_PIECE: Final = 1024 * 1024
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108  only a folder in it is used


@dataclass(frozen=True, slots=True)
class Row:
    """One way to make the sound; without figures where the program is not here."""

    name: str
    kind: str
    median_ms: float | None = None
    of_memcpy: float | None = None
    """Its speed over that of memcpy to the file."""
    times_real_time: float | None = None


def profiles(seconds: float) -> Mapping[tuple[str, str], Profile]:
    """By name and kind. Bursts of 0.18 s make an hour out of the most repeats that a profile may have."""
    whole_ms = 1000 * seconds
    repeat = max(1, round(seconds / 0.36))

    def long(*frequencies_hz: float, **more: object) -> dict[str, object]:
        return {"frequencies_hz": frequencies_hz, "on_ms": whole_ms, **more}

    def burst(on_ms: float, off_ms: float) -> dict[str, object]:
        return {"frequencies_hz": [400], "on_ms": on_ms, "off_ms": off_ms}

    plans: dict[tuple[str, str], dict[str, object]] = {
        ("bursts of 400 Hz", "periodic"): {"segments": [burst(180, 180)], "repeat": repeat},
        ("bursts beside the samples", "periodic"): {"segments": [burst(180.06, 179.9)], "repeat": repeat},
        ("400 + 450 Hz, AM 16 Hz", "periodic"): {
            "segments": [long(400, 450, modulation={"rate_hz": 16, "depth": 0.8})]
        },
        ("1234.567 Hz", "aperiodic"): {"segments": [long(1234.567)]},
        ("1234.56789 Hz", "aperiodic"): {"segments": [long(1234.56789)]},
        ("400.3 + 1234.567 Hz", "aperiodic"): {"segments": [long(400.3, 1234.567)]},
        ("400.3 + 1234.567 Hz, AM 16.7 Hz", "aperiodic"): {
            "segments": [long(400.3, 1234.567, modulation={"rate_hz": 16.7, "depth": 0.8})]
        },
        ("sweep of 100 stairs", "aperiodic"): {"segments": [long(400.3, sweep={"to_hz": [1999.9], "steps": 100})]},
        ("sweep, gliding", "aperiodic"): {"segments": [long(400.3, sweep={"to_hz": [1999.9]})]},
        ("1234.567 Hz, dithered", "aperiodic"): {"segments": [long(1234.567)], "dither_seed": 1},
    }
    common = {"id": "bench", "title": "Benchmark", "level_dbm0": -16}
    return {key: build_profile(common | plan, key[0]) for key, plan in plans.items()}


def write_ours(profile: Profile, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for block in pcm_blocks(profile, RATE_HZ):
            file.write(block.data)


def copy_to_file(samples: memoryview, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for first in range(0, len(samples), _PIECE):
            file.write(samples[first : first + _PIECE])


def others(seconds: float, path: Path) -> Mapping[str, list[str] | None]:
    """Commands that write the same tone; None where the program is not here."""
    commands = {
        "sox": f"sox -n -r {RATE_HZ} -c 1 -b 16 -e signed -t raw {path} synth {seconds} sine 1234.567 gain -19",
        "ffmpeg": f"ffmpeg -y -loglevel error -f lavfi "
        f"-i sine=frequency=1234.567:sample_rate={RATE_HZ}:duration={seconds} -f s16le {path}",
    }
    return {name: command.split() if shutil.which(name) else None for name, command in commands.items()}


def measure(seconds: float = HOUR_S, repeats: int = REPEATS) -> list[Row]:
    """Time every way, taking turns."""
    samples = np.arange(round(seconds * RATE_HZ), dtype=np.int16)
    elsewhere = np.empty_like(samples)
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None) as folder:
        path = Path(folder, "hour.sln")
        ways: dict[tuple[str, str], Callable[[], object] | None] = {
            ("memcpy in memory", "memcpy"): partial(np.copyto, elsewhere, samples),
            (BASELINE, "memcpy"): partial(copy_to_file, samples.data.cast("B"), path),
        }
        for key, profile in profiles(seconds).items():
            ways[key] = partial(write_ours, profile, path)
        for name, command in others(seconds, path).items():
            ways[f"{name}, 1234.567 Hz", name] = partial(subprocess.run, command, check=True) if command else None
        times_s: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
        for _ in range(repeats):
            for key, way in ways.items():
                if way:
                    path.unlink(missing_ok=True)
                    begun = time.perf_counter()
                    way()
                    times_s[key].append(time.perf_counter() - begun)
    copied_s = statistics.median(times_s[BASELINE, "memcpy"])
    return [_row(name, kind, taken, seconds, copied_s) for (name, kind), taken in times_s.items()]


def _row(name: str, kind: str, times_s: list[float], seconds: float, copied_s: float) -> Row:
    if not times_s:
        return Row(name, kind)
    median_s = statistics.median(times_s)
    return Row(name, kind, 1000 * median_s, copied_s / median_s, seconds / median_s)


def table(rows: list[Row]) -> Table:
    found = Table("way", "kind", title=f"An hour at {RATE_HZ} Hz, made and written", box=None)
    for heading in ("median", "speed of memcpy", "× real time"):
        found.add_column(heading, justify="right")
    for row in rows:
        if row.median_ms is None or row.of_memcpy is None or row.times_real_time is None:
            found.add_row(row.name, row.kind, "not here", "", "")
        else:
            figures = f"{row.median_ms:.1f} ms", f"{row.of_memcpy:.0%}", f"{row.times_real_time:,.0f}"
            found.add_row(row.name, row.kind, *figures)
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seconds", type=float, default=HOUR_S, help="of sound")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="turns that each way takes")
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.seconds, chosen.repeats)
    if chosen.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
