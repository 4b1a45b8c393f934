"""Draws waveform and spectrogram as PNG, with marks for the bursts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from idtone.core.matplotlib_pictures import LINES, new_figure, write_picture

from .marks import BurstMark, top_hz_of
from .spectrogram import RANGE_DB, envelope, spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGS: Final = 8
"""Maximum number of legs in one drawing."""
_COLUMNS: Final = 1600
_ROWS: Final = 320
_WAVE: Final = LINES[0]
_PLAN: Final = "#40e0ff"
_PLAN_ON_WHITE: Final = LINES[1]
_MARGIN_HZ: Final = 120.0
_JAPANESE: Final = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "VL Gothic", "TakaoGothic")


@dataclass(frozen=True, slots=True)
class Panel:
    """One leg of the drawing."""

    name: str
    samples: NDArray[Any]
    sample_rate_hz: int
    marks: Sequence[BurstMark]


def plot(path: Path, title: str, panels: Sequence[Panel], plain_title: str = "") -> None:
    """Write a PNG atomically, with one panel for each leg, up to `LEGS`.

    `plain_title` replaces `title` if no font on this machine contains its characters. Raises UsageError if matplotlib
    is not installed or the file cannot be written.
    """
    if len(panels) > LEGS:
        title, plain_title = (f"{each} (the first {LEGS} of {len(panels)} legs)" for each in (title, plain_title))
    panels = panels[:LEGS]
    figure = new_figure(13, 1 + 5.2 * len(panels))
    text, family = _legible(title, plain_title)
    figure.suptitle(_literal(text), fontfamily=family, fontsize=14, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(
        2 * len(panels), 1, sharex=False, squeeze=False, height_ratios=[1, 2.4] * len(panels)
    ).ravel()
    for index, panel in enumerate(panels):
        _draw_wave(axes[2 * index], panel)
        _draw_spectrogram(axes[2 * index + 1], panel)
    write_picture(path, figure)


def _draw_wave(axes: Axes, panel: Panel) -> None:
    low, high = envelope(panel.samples, _COLUMNS)
    _, scale = _time_unit(panel)
    duration = len(panel.samples) / panel.sample_rate_hz * scale
    axes.fill_between((np.arange(_COLUMNS) + 0.5) * duration / _COLUMNS, low, high, color=_WAVE, linewidth=0.6)
    peak = max(float(-low.min()), float(high.max()), 1e-3)
    axes.set_ylim(-1.15 * peak, 1.15 * peak)
    axes.set_xlim(0, duration or 1)
    axes.set_ylabel("full scale = 1")
    axes.tick_params(labelbottom=False)
    axes.grid(alpha=0.25)
    for mark in panel.marks:
        axes.axvspan(
            mark.start_ms / 1000 * scale, mark.end_ms / 1000 * scale, color=_PLAN_ON_WHITE, alpha=0.12, linewidth=0
        )
        for edge_ms in (mark.start_ms, mark.end_ms):
            axes.axvline(edge_ms / 1000 * scale, color=_PLAN_ON_WHITE, linewidth=0.8, alpha=0.7)
    name, family = _legible(panel.name, "leg")
    axes.set_title(_literal(name), fontfamily=family, fontsize=10, loc="left", color="#444444")
    axes.set_title(f"{panel.sample_rate_hz} Hz", fontsize=10, loc="right", color="#444444")


def _draw_spectrogram(axes: Axes, panel: Panel) -> None:
    unit, scale = _time_unit(panel)
    duration = len(panel.samples) / panel.sample_rate_hz * scale
    top_hz = top_hz_of(panel.sample_rate_hz, panel.marks)
    levels = spectrogram(panel.samples, panel.sample_rate_hz, _COLUMNS, _ROWS, top_hz)
    image = axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=(0, duration or 1, 0, top_hz),
        cmap="magma",
        vmin=-RANGE_DB,
        vmax=0,
        interpolation="nearest",
    )
    axes.set_ylabel("Hz")
    axes.set_xlabel(unit)
    axes.set_xlim(0, duration or 1)
    axes.set_ylim(0, top_hz)
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(image, ax=axes, pad=0.01, aspect=30, label="dB below the loudest")
    for mark in panel.marks:
        _draw_mark(axes, mark, scale / 1000, label=len(panel.marks) <= 24)


def _draw_mark(axes: Axes, mark: BurstMark, scale: float, *, label: bool) -> None:
    """Draw a box around the burst, and a line with a tolerance band for each frequency.

    Error bars show the tolerance of the edges.
    """
    start, end = mark.start_ms * scale, mark.end_ms * scale
    for from_hz, to_hz in mark.lines_hz:
        times, course = _course(start, end, from_hz, to_hz, mark.stairs)
        axes.plot(times, course, color=_PLAN, linewidth=0.9)
        if mark.tolerance_percent:
            off = course * mark.tolerance_percent / 100
            for border in (course - off, course + off):
                axes.plot(times, border, color=_PLAN, linewidth=0.7, linestyle=(0, (4, 3)))
    ends = [hz for line in mark.lines_hz for hz in line]
    low, high = max(min(ends, default=0.0) - _MARGIN_HZ, 0.0), max(ends, default=0.0) + _MARGIN_HZ
    axes.plot([start, start, end, end, start], [low, high, high, low, low], color=_PLAN, linewidth=1.1)
    for edge, height, reach_ms in ((start, low, mark.edges_ms[0]), (end, high, mark.edges_ms[1])):
        if reach_ms:
            axes.errorbar(edge, height, xerr=reach_ms * scale, color=_PLAN, linewidth=0.9, capsize=3, alpha=0.8)
    if label:
        sums = [" + ".join(f"{line[side]:.5g}" for line in mark.lines_hz) for side in (0, 1)]
        axes.annotate(
            " → ".join(dict.fromkeys(sums)),
            (start, high),
            xytext=(2, 5),
            textcoords="offset points",
            fontsize=9,
            color="white",
            annotation_clip=True,
        )


def _course(
    start: float, end: float, from_hz: float, to_hz: float, stairs: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if stairs is None:
        return np.array([start, end]), np.array([from_hz, to_hz])
    edges = np.linspace(start, end, stairs + 1)
    return np.repeat(edges, 2)[1:-1], np.repeat(np.linspace(from_hz, to_hz, stairs), 2)


def _time_unit(panel: Panel) -> tuple[str, float]:
    seconds = len(panel.samples) / panel.sample_rate_hz
    if seconds < 5:
        return "ms", 1000.0
    return ("s", 1.0) if seconds < 600 else ("min", 1 / 60)


def _legible(text: str, plain: str) -> tuple[str, str]:
    """The text, and a font that contains all its characters.

    If there is no such font, the text is `plain` or, if that is empty, the characters of `text` that can be shown.
    """
    from matplotlib import font_manager

    for family in ("DejaVu Sans", *_JAPANESE):
        try:
            path = font_manager.findfont(family, fallback_to_default=False)
        except ValueError:
            continue
        known = font_manager.get_font(path).get_charmap()
        if all(ord(character) in known for character in text):
            return text, family
    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return plain or "".join(character for character in text if ord(character) in known), "DejaVu Sans"


def _literal(text: str) -> str:
    """The text with escaped dollar signs, which start a formula in matplotlib."""
    return text.replace("$", r"\$")
