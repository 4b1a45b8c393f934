"""Statistics as a PNG: calls by day, and the ratio of those that were heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from idtone.errors import UsageError
from idtone.files import draft

from .statistics import Tally

_COLOURS: Final = {"played": "#51127c", "noticed": "#0089a8", "refused": "#c0392b", "bypassed": "#888888"}


def plot(path: Path, tallies: Sequence[Tally]) -> None:
    """Write the picture, replaced in one step.

    Raises UsageError where matplotlib is not installed or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("a PNG needs matplotlib. Install it with: pip install 'idtone[plot]'") from error
    days = sorted({each.day for each in tallies})
    figure = Figure(figsize=(max(8.0, 2 + 0.35 * len(days)), 6), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    counts, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    below = [0] * len(days)
    places = range(len(days))
    for name, colour in _COLOURS.items():
        heights = [sum(getattr(each, name) for each in tallies if each.day == day) for day in days]
        counts.bar(places, heights, bottom=below, color=colour, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    counts.set_ylabel("calls")
    counts.legend(loc="upper left", ncols=len(_COLOURS), frameon=False)
    heard = [_ratio([each for each in tallies if each.day == day]) for day in days]
    ratio.plot(places, heard, color=_COLOURS["played"], marker="o")
    ratio.set_ylim(0, 1.05)
    ratio.set_ylabel("heard ratio")
    ratio.set_xticks(list(places), [day.isoformat() for day in days], rotation=60, ha="right")
    for axes in (counts, ratio):
        axes.grid(axis="y", alpha=0.25)
    try:
        with draft(path) as new:
            figure.savefig(new.file, format="png")
            new.put()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}; name another file") from error


def _ratio(tallies: Sequence[Tally]) -> float:
    """NaN, which is not drawn, where nobody was to hear anything."""
    connected = sum(each.connected for each in tallies)
    return sum(each.heard for each in tallies) / connected if connected else float("nan")
