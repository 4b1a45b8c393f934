"""Plots of call statistics as PNG: calls, and the share of calls whose sounds were sent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from idtone.core.matplotlib_pictures import BESIDE, LINES, new_figure, write_picture

from ..evidence.tally import Tally

_COLOURS: Final = {
    "played": "#51127c",
    "noticed": "#0089a8",
    "refused": "#c0392b",
    "bypassed": "#888888",
    "shed": "#e0a030",
}
_OTHERS: Final = "#888888"


def plot(path: Path, tallies: Sequence[Tally]) -> None:
    """Plot tallies of calls as a PNG file.

    The horizontal axis shows days. If calls are not counted by day, it shows members or licences. If calls are counted
    by day and member, the members with the most calls have separate lines. An existing file is replaced in one step.
    Raises UsageError if matplotlib is not installed or the file cannot be written.
    """
    places = sorted({_place(each) for each in tallies})
    figure = new_figure(max(8.0, 2 + 0.35 * len(places)), 6)
    counts, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    below = [0] * len(places)
    across = range(len(places))
    for name, colour in _COLOURS.items():
        heights = [sum(getattr(each, name) for each in tallies if _place(each) == place) for place in places]
        counts.bar(across, heights, bottom=below, color=colour, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    counts.set_ylabel("calls")
    counts.set_ylim(0, 1.05 * max(below, default=0) or 1)
    counts.legend(**BESIDE)
    lines = _lines(tallies)
    for name, colour, theirs in lines:
        sent = [_ratio(each for each in theirs if _place(each) == place) for place in places]
        # A line joins days only: members and licences have no order.
        style = "-" if any(each.day for each in theirs) else ""
        ratio.plot(across, sent, color=colour, marker="o", linestyle=style, label=name)
    if len(lines) > 1:
        ratio.legend(**BESIDE)
    ratio.set_ylim(0, 1.05)
    ratio.set_ylabel("sent ratio")
    ratio.set_xticks(list(across), places, rotation=60, ha="right")
    for axes in (counts, ratio):
        axes.grid(axis="y", alpha=0.25)
    write_picture(path, figure)


def _place(counted: Tally) -> str:
    if counted.day:
        return counted.day.isoformat()
    return (counted.licence if counted.member is None else counted.member) or "unknown"


def _lines(tallies: Sequence[Tally]) -> list[tuple[str, str, Sequence[Tally]]]:
    calls: Counter[str] = Counter()
    for each in tallies:
        if each.day and each.member is not None:
            calls[each.member] += each.calls
    if len(calls) < 2:
        return [("all", LINES[0], tallies)]
    most = [member for member, _ in calls.most_common(len(LINES))]
    lines: list[tuple[str, str, Sequence[Tally]]] = [
        (member or "unknown", colour, [each for each in tallies if each.member == member])
        for member, colour in zip(most, LINES, strict=False)
    ]
    others = [each for each in tallies if each.member not in most]
    return [*lines, ("others", _OTHERS, others)] if others else lines


def _ratio(tallies: Iterable[Tally]) -> float:
    """Share of connected calls whose sounds were sent; NaN, which is not drawn, if there are none."""
    sent, connected = 0, 0
    for each in tallies:
        sent, connected = sent + each.sent, connected + each.connected
    return sent / connected if connected else float("nan")
