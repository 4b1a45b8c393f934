"""Calls for a long time at a steady rate: failures, missing records, and growth.

python -m bench.cost.soak [--minutes M] [--rate R] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.processes import end_in_order, open_files, resident_mb

from .. import bench_output
from .cost_bench import CostBench, cost_bench
from .forwarding_ways import Way

MINUTES: Final = 30.0
RATE: Final = 50.0
LOOK_S: Final = 5.0
WARM_SHARE: Final = 0.25
"""Share of the time at the beginning that is left out of the growth, because caches fill then."""


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """Memory, open files and channels at one moment, `at_s` seconds after the beginning."""

    at_s: float
    service_mb: float
    asterisk_mb: float
    service_files: int
    asterisk_files: int
    channels: int


def _looks(bed: CostBench, over: threading.Event, into: list[ResourceUse]) -> None:
    service, asterisk = bed.service.process, bed.asterisk.process
    assert service
    assert asterisk
    began_s = time.monotonic()
    while not over.wait(LOOK_S):
        into.append(
            ResourceUse(
                time.monotonic() - began_s,
                resident_mb(service.pid),
                resident_mb(asterisk.pid),
                open_files(service.pid),
                open_files(asterisk.pid),
                bed.asterisk.channels(),
            )
        )


def growth_per_hour(looks: Sequence[ResourceUse]) -> dict[str, float]:
    """Growth of each figure per hour, by least squares; empty for fewer than three observations."""
    if len(looks) < 3:
        return {}
    warm = [look for look in looks if look.at_s >= WARM_SHARE * looks[-1].at_s]
    hours = np.array([look.at_s for look in warm]) / 3600
    names = [name for name in asdict(warm[0]) if name != "at_s"]
    return {name: float(np.polyfit(hours, [getattr(look, name) for look in warm], 1)[0]) for name in names}


def soak(bed: CostBench, minutes: float, rate: float) -> dict[str, Any]:
    """Run calls for `minutes`, ARI and AGI in turns of a minute, and return the results."""
    looks: list[ResourceUse] = []
    over = threading.Event()
    looking = threading.Thread(target=_looks, args=(bed, over, looks))
    looking.start()
    runs = []
    try:
        ends_s = time.monotonic() + 60 * minutes
        while (left_s := ends_s - time.monotonic()) > 1:
            way = (Way.ARI_CALLED, Way.AGI_CALLED, Way.ARI_BOTH, Way.AGI_BOTH)[len(runs) % 4]
            runs.append(bed.run(way, rate, min(60.0, left_s)))
            bench_output.PROGRESS.print(f"{way}: {runs[-1].offered} calls, {runs[-1].failed} failed")
    finally:
        over.set()
        looking.join()
    counted = ("offered", "failed", "unrecorded", "retransmissions", "left")
    sums = {name: sum(getattr(run, name) for run in runs) for name in counted}
    looked = {"growth_per_hour": growth_per_hour(looks), "looks": [asdict(look) for look in looks]}
    return {"minutes": minutes, "rate": rate, **sums, **looked}


def main() -> int:
    """Run the soak and print its results; returns 1 if a call failed, has no record, or left a channel."""
    parser = argparse.ArgumentParser(description="Calls for a long time, and what grows.")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--rate", type=float, default=RATE, help="calls per second")
    parser.add_argument("--json", type=Path, help="write the findings there")
    chosen = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="idtone-soak-") as folder, cost_bench(Path(folder)) as bed:
        found = soak(bed, chosen.minutes, chosen.rate)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))
    del found["looks"]
    bench_output.report("calls for a long time", found, False)
    return int(bool(found["failed"] or found["unrecorded"] or found["left"]))


if __name__ == "__main__":
    sys.exit(main())
