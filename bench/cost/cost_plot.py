"""Plots of a bench's results: added time and processor time against the rate of calls."""

from pathlib import Path
from typing import Any

from .forwarding_ways import COMPARED
from .goals import ALONE, RunTable
from .run_statistics import percentile


def plot(table: RunTable, path: Path) -> None:
    """Plot the results of a bench as a PNG file."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, (added, processor) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    base = percentile([sample.connected_ms for sample in table.native().samples], 0.5)
    for way in COMPARED:
        runs = [run for rate in table.rates if rate != ALONE and (run := table.get(way, rate))]
        rates = [run.rate for run in runs]
        connected = [[sample.connected_ms - base for sample in run.samples] for run in runs]
        if way.has_sound:
            (line,) = added.plot(rates, [percentile(values, 0.5) for values in connected], marker="o", label=way.value)
            added.plot(rates, [percentile(values, 0.95) for values in connected], ":", color=line.get_color())
        taken = [run.asterisk_ms_per_call + run.service_ms_per_call for run in runs]
        processor.plot(rates, taken, marker="o", label=way.value)
    _name(added, "answer → connected beyond the sound, over native (ms): median, dotted p95")
    added.set_yscale("symlog", linthresh=10)
    _name(processor, "processor time a call, Asterisk and what stands beside it (ms)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _name(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("calls per second")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
