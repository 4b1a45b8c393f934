"""Plots evaluations over the years: each member's percentage, and the number of members with each grade."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.matplotlib_pictures import BESIDE, LINES, new_figure, write_picture
from idtone.member.evaluation.criteria import Criteria
from idtone.member.evaluation.result import Result

_GRADES: Final = ("#51127c", "#0089a8", "#7fbf7b", "#e0a030", "#c0392b")
"""Colours of the grades, best grade first."""
_NO_GRADE: Final = "#cccccc"
FORMATS: Final = ("png", "svg")


def plot(path: Path, periods: Sequence[tuple[Criteria, Sequence[Result]]], named: Sequence[str]) -> None:
    """Write the picture to `path` as PNG or SVG, depending on the file extension.

    The members in `named` have lines in individual colours. Raises UsageError if matplotlib is not installed, too many
    members are named or the file cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise UsageError("{path}: name a file that ends in .png or .svg", path=path)
    if len(named) > len(LINES):
        raise UsageError("at most {most} members can have lines of their own", most=len(LINES))
    names = [f"{results[0].period.start}\n– {results[0].period.until}" if results else "" for _, results in periods]
    across = range(len(periods))
    figure = new_figure(max(8.0, 3 + 1.4 * len(periods)), 8)
    percents, grades = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    _draw_percents(percents, periods, named)
    _draw_grades(grades, periods)
    grades.set_xticks(list(across), names)
    grades.set_xlim(-0.6, len(periods) - 0.4)
    write_picture(path, figure, kind)


def _draw_percents(axes: Any, periods: Sequence[tuple[Criteria, Sequence[Result]]], named: Sequence[str]) -> None:
    lines: dict[str, list[float]] = {}
    for place, (_, results) in enumerate(periods):
        for result in results:
            line = lines.setdefault(result.member, [float("nan")] * len(periods))
            if result.percent is not None:
                line[place] = float(result.percent)
    across = range(len(periods))
    for member, line in lines.items():
        if member not in named:
            axes.plot(across, line, color="#888888", alpha=0.25, linewidth=0.7, marker=".", markersize=3)
    middle = [
        median(found) if (found := [line[place] for line in lines.values() if line[place] == line[place]]) else None
        for place in across
    ]
    axes.plot(across, middle, color="black", linewidth=2.5, marker="o", label="median")
    for member, colour in zip(named, LINES, strict=False):
        axes.plot(
            across, lines.get(member, []) or [float("nan")] * len(periods), color=colour, marker="o", label=member
        )
    if periods:
        for grade in periods[-1][0].document.grades:
            axes.axhline(grade.percent, color="#555555", linestyle=":", linewidth=1)
            axes.annotate(
                f" {grade.id} ≥ {grade.percent}",
                (0, grade.percent),
                xycoords=("axes fraction", "data"),
                va="bottom",
                fontsize=8,
                color="#555555",
            )
    axes.set_ylim(0, 103)
    axes.set_ylabel("percent of the points")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(**BESIDE)


def _draw_grades(axes: Any, periods: Sequence[tuple[Criteria, Sequence[Result]]]) -> None:
    names: list[str | None] = list(dict.fromkeys(grade.id for each, _ in periods for grade in each.document.grades))
    below = [0] * len(periods)
    colours: Mapping[str | None, str] = dict(zip(names, _GRADES * len(names), strict=False))
    for name in [*names, None]:
        heights = [sum(result.grade == name for result in results) for _, results in periods]
        axes.bar(
            range(len(periods)),
            heights,
            0.5,
            bottom=below,
            color=colours.get(name, _NO_GRADE),
            label=name or "no grade",
        )
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_ylabel("members")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(**BESIDE)
