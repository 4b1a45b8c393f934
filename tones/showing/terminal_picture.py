"""Draws waveform and spectrogram in the terminal, with or without colors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from .marks import BurstMark, top_hz_of
from .spectrogram import RANGE_DB, envelope, spectrogram

Floats = NDArray[Any]
"""An array of single or double precision."""

WIDEST: Final = 200
_WAVE_ROWS: Final = 5
_ROWS: Final = 16
_LABEL: Final = 8
_NARROWEST: Final = 16
_SHADES: Final = " ░▒▓█"
_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_HEAT: Final = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
"""Colors from dark to bright: five of matplotlib's magma."""
_PLAN: Final = Style(color="bright_cyan")
_SOUNDS_DB: Final = -35.0


@dataclass(frozen=True, slots=True)
class TerminalPicture:
    """A rich renderable, as wide as the console or `width`.

    From top to bottom, it shows the waveform in braille, the spectrogram (in half blocks with colors, or in shades
    without), the bursts of the plan as bars, and the time. The plan is drawn over the spectrogram, with ━ while the
    frequency sounds and ╌ while it does not.
    """

    samples: NDArray[Any]
    sample_rate_hz: int
    marks: Sequence[BurstMark]
    width: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = min(self.width or options.max_width, options.max_width, WIDEST) - _LABEL
        columns = max(columns, _NARROWEST)
        coloured = console.color_system is not None
        for line in (*self._wave(columns), *self._spectrum(columns, coloured), *self._scale(columns)):
            yield from line
            yield Segment.line()

    @property
    def _duration_ms(self) -> float:
        return 1000 * len(self.samples) / self.sample_rate_hz

    def _wave(self, columns: int) -> Iterator[list[Segment]]:
        low, high = envelope(self.samples, 2 * columns)
        peak = max(float(-low.min()), float(high.max()), 1e-9)
        height = 4 * _WAVE_ROWS
        # Rows count from the top. The center line is always drawn.
        first = np.floor((1 - np.maximum(high, 0) / peak) * (height - 1) / 2 + 0.5).astype(int)
        last = np.ceil((1 - np.minimum(low, 0) / peak) * (height - 1) / 2 - 0.5).astype(int)
        for row in range(_WAVE_ROWS):
            text = ""
            for column in range(columns):
                dots = 0
                for side in (0, 1):
                    at = 2 * column + side
                    for dot in range(4):
                        if first[at] <= 4 * row + dot <= max(last[at], first[at]):
                            dots |= _DOTS[side][dot]
                text += chr(_BRAILLE | dots)
            label = f"{peak:.3f}" if row == 0 else ""
            yield [Segment(label.rjust(_LABEL - 1) + " "), Segment(text)]

    def _spectrum(self, columns: int, coloured: bool) -> Iterator[list[Segment]]:
        top_hz = top_hz_of(self.sample_rate_hz, self.marks)
        levels = spectrogram(self.samples, self.sample_rate_hz, columns, 2 * _ROWS, top_hz)[::-1]
        planned = self._planned(columns, top_hz)
        for row in range(_ROWS):
            above, below = levels[2 * row], levels[2 * row + 1]
            label = f"{top_hz * (1 - row / _ROWS):.0f} Hz" if row % 4 == 0 else ""
            line = [Segment(label.rjust(_LABEL - 1) + " ")]
            for column in range(columns):
                loudest = max(float(above[column]), float(below[column]))
                if planned[row, column]:
                    character = "━" if loudest > _SOUNDS_DB else "╌"
                    style = _PLAN + Style(bgcolor=_heat(loudest)) if coloured else None
                    line.append(Segment(character, style))
                elif coloured:
                    line.append(
                        Segment("▀", Style(color=_heat(float(above[column])), bgcolor=_heat(float(below[column]))))
                    )
                else:
                    line.append(Segment(_SHADES[_place(loudest, len(_SHADES))]))
            yield line

    def _planned(self, columns: int, top_hz: float) -> NDArray[np.bool_]:
        """The cells of the spectrogram through which a frequency of the plan passes."""
        planned = np.zeros((_ROWS, columns), np.bool_)
        for mark in self.marks:
            first, end = self._columns_of(mark, columns)
            share = np.linspace(0, 1, end - first) if end - first > 1 else np.zeros(1)
            if mark.stairs is not None:
                share = np.minimum(np.floor(share * mark.stairs), mark.stairs - 1) / (mark.stairs - 1)
            for from_hz, to_hz in mark.lines_hz:
                rows = ((1 - (from_hz + share * (to_hz - from_hz)) / top_hz) * _ROWS).astype(int)
                planned[np.clip(rows, 0, _ROWS - 1), np.arange(first, end)] = True
        return planned

    def _columns_of(self, mark: BurstMark, columns: int) -> tuple[int, int]:
        column_ms = max(self._duration_ms, 1e-9) / columns
        first = int(np.clip(round(mark.start_ms / column_ms), 0, columns - 1))
        return first, int(np.clip(round(mark.end_ms / column_ms), first + 1, columns))

    def _scale(self, columns: int) -> Iterator[list[Segment]]:
        if self.marks:
            bars = [" "] * columns
            for mark in self.marks:
                first, end = self._columns_of(mark, columns)
                bars[first:end] = "▌" if end - first == 1 else ["├", *"─" * (end - first - 2), "┤"]
            yield [Segment("plan".rjust(_LABEL - 1) + " "), Segment("".join(bars), _PLAN)]
        until = f"{self._duration_ms:.5g} ms" if self._duration_ms < 10_000 else f"{self._duration_ms / 1000:.5g} s"
        yield [Segment(" " * _LABEL + "0" + until.rjust(columns - 1))]


def draw_samples(
    samples: NDArray[Any], sample_rate_hz: int, plan: Sequence[BurstMark] = (), width: int | None = None
) -> TerminalPicture:
    """A drawing of the samples for `rich.console.Console.print`, at most as wide as the console."""
    return TerminalPicture(samples, sample_rate_hz, plan, width)


def _place(level_db: float, count: int) -> int:
    return min(int((level_db + RANGE_DB) / RANGE_DB * count), count - 1)


def _heat(level_db: float) -> Color:
    place = min(max((level_db + RANGE_DB) / RANGE_DB, 0.0), 1.0) * (len(_HEAT) - 1)
    lower = min(int(place), len(_HEAT) - 2)
    share = place - lower
    low, high = _HEAT[lower], _HEAT[lower + 1]
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return Color.from_rgb(red, green, blue)
