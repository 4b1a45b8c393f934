"""Draws a finding in the terminal or as PNG: the rule's counts over time, with the limit."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.text import Text

from idtone.core.japan_time import JAPAN
from idtone.core.matplotlib_pictures import LINES, new_figure, write_picture
from idtone.core.translation import translated

from .call_windows import Series
from .findings import Finding

_BAR: Final = 50
"""Length of the longest bar, in columns."""
_FULL, _LIMIT = "█", "│"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_ORDINARY, _BEYOND, _LIMIT_LINE = LINES[0], LINES[2], "#222222"
_DAY_S: Final = 86_400


def count_lines(finding: Finding) -> Iterator[Text]:
    """Yield one line per interval from the first count to the last, with time in Japan, bar, count and limit."""
    series = finding.sign.series
    places = _shown(series)
    most = max([series.counts[place] for place in places] + [series.limits[place] or 0 for place in places])
    for place in places:
        count, limit = series.counts[place], series.limits[place]
        bar = _bar(count, most).ljust(_BAR + 1)
        if limit is not None:
            column = min(_BAR, round(_BAR * limit / most))
            if bar[column] == " ":
                bar = f"{bar[:column]}{_LIMIT}{bar[column + 1 :]}"
        is_beyond = limit is not None and count >= limit
        label = f"{count:5}" + ("" if limit is None else f" / {limit}")
        yield Text.assemble(
            f"{_time(series, place)} ", (bar, "bold red" if is_beyond else ""), label, " !" if is_beyond else ""
        )


def draw_finding(finding: Finding, path: Path) -> None:
    """Write the drawing as PNG, atomically replacing any existing file.

    Raises UsageError if matplotlib is not installed or the file cannot be written.
    """
    series = finding.sign.series
    places = _shown(series)
    figure = new_figure(max(8.0, 2 + 0.2 * len(places)), 5)
    axes = figure.subplots()
    counts = [series.counts[place] for place in places]
    limits = [series.limits[place] for place in places]
    beyond = [limit is not None and count >= limit for count, limit in zip(counts, limits, strict=True)]
    axes.bar(range(len(places)), counts, color=[_BEYOND if each else _ORDINARY for each in beyond])
    if any(limit is not None for limit in limits):
        heights = [float("nan") if limit is None else limit for limit in limits]
        axes.step(range(len(places)), heights, where="mid", color=_LIMIT_LINE, linestyle="--", label="limit")
        axes.legend(frameon=False)
    axes.set_xticks(range(len(places)), [_time(series, place) for place in places], rotation=90)
    axes.set_ylabel("calls")
    axes.set_title(f"{finding.id}\n{finding.rule.title}", fontsize=10)
    axes.grid(axis="y", alpha=0.25)
    write_picture(path, figure)


def heading(finding: Finding) -> str:
    """The finding's id and title, in the environment's language."""
    return f"{finding.id}: {translated(finding.rule.title)}"


def _shown(series: Series) -> range:
    """Intervals from the first nonzero count to the last, always at least one."""
    counted = [place for place, count in enumerate(series.counts) if count] or [0]
    return range(counted[0], counted[-1] + 1)


def _bar(count: int, most: int) -> str:
    eighths = round(8 * _BAR * count / most) if most else 0
    return _FULL * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _time(series: Series, place: int) -> str:
    at = datetime.fromtimestamp(series.start_s + place * series.width_s, JAPAN)
    return f"{at:%m-%d}" if series.width_s >= _DAY_S else f"{at:%d %H:%M}"
