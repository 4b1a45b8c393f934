"""Statistics as a PNG: calls by day (or member, or licence), and the ratio of those that were heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from idtone.errors import UsageError
from idtone.files import draft
from idtone.translation import Message

from ..evidence.tally import Tally

_COLOURS: Final = {
    "played": "#51127c", "noticed": "#0089a8", "refused": "#c0392b", "bypassed": "#888888",
    "shed": "#e0a030",
}  # fmt: skip
_LINES: Final = ("#51127c", "#0089a8", "#c0392b", "#e08e0b", "#2e7d32", "#d81b60", "#5d4037", "#3949ab")
"""One for each of the members with the most calls; the others share one line."""
_OTHERS: Final = "#888888"
_BESIDE: Final[dict[str, Any]] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}


def plot(path: Path, tallies: Sequence[Tally]) -> None:
    """Write the picture; an existing file is replaced in one step.

    The horizontal axis shows days, or members or licences if calls are not counted by day. If calls are counted by
    day and member, each of the members with the most calls has a line of its own.

    Raises UsageError if matplotlib is not installed or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(Message("a PNG needs matplotlib. Install it with: pip install 'idtone[plot]'")) from error
    places = sorted({_place(each) for each in tallies})
    figure = Figure(figsize=(max(8.0, 2 + 0.35 * len(places)), 6), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    counts, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    below = [0] * len(places)
    across = range(len(places))
    for name, colour in _COLOURS.items():
        heights = [sum(getattr(each, name) for each in tallies if _place(each) == place) for place in places]
        counts.bar(across, heights, bottom=below, color=colour, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    counts.set_ylabel("calls")
    counts.set_ylim(0, 1.05 * max(below, default=0) or 1)
    counts.legend(**_BESIDE)
    lines = _lines(tallies)
    for name, colour, theirs in lines:
        heard = [_ratio(each for each in theirs if _place(each) == place) for place in places]
        # A line joins days only: members and licences have no order.
        style = "-" if any(each.day for each in theirs) else ""
        ratio.plot(across, heard, color=colour, marker="o", linestyle=style, label=name)
    if len(lines) > 1:
        ratio.legend(**_BESIDE)
    ratio.set_ylim(0, 1.05)
    ratio.set_ylabel("heard ratio")
    ratio.set_xticks(list(across), places, rotation=60, ha="right")
    for axes in (counts, ratio):
        axes.grid(axis="y", alpha=0.25)
    try:
        with draft(path) as new:
            figure.savefig(new.file, format="png")
            new.put()
    except OSError as error:
        raise UsageError(
            Message("{path}: cannot be written: {reason}; name another file", path=path, reason=error.strerror)
        ) from error


def _place(counted: Tally) -> str:
    if counted.day:
        return counted.day.isoformat()
    return (counted.licence if counted.member is None else counted.member) or "unknown"


def _lines(tallies: Sequence[Tally]) -> list[tuple[str, str, Sequence[Tally]]]:
    """For each line of the heard ratio: its name, its colour, and the tallies that it shows."""
    calls: Counter[str] = Counter()
    for each in tallies:
        if each.day and each.member is not None:
            calls[each.member] += each.calls
    if len(calls) < 2:
        return [("all", _LINES[0], tallies)]
    most = [member for member, _ in calls.most_common(len(_LINES))]
    lines: list[tuple[str, str, Sequence[Tally]]] = [
        (member or "unknown", colour, [each for each in tallies if each.member == member])
        for member, colour in zip(most, _LINES, strict=False)
    ]
    others = [each for each in tallies if each.member not in most]
    return [*lines, ("others", _OTHERS, others)] if others else lines


def _ratio(tallies: Iterable[Tally]) -> float:
    """NaN, which is not drawn, if no party was to hear a sound."""
    heard, connected = 0, 0
    for each in tallies:
        heard, connected = heard + each.heard, connected + each.connected
    return heard / connected if connected else float("nan")
