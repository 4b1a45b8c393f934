from __future__ import annotations

import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from idtone.tones.making.synthesis import synthesise
from idtone.tones.showing.marks import Mark, marks_of_profile
from idtone.tones.showing.terminal import draw_samples

from ..profiles import make, tone

PROFILE = make(tone(1000, on_ms=300, off_ms=200), tone(3000, on_ms=300, off_ms=200))


def drawn(width: int, coloured: bool = False, marks: tuple[Mark, ...] = (), samples: np.ndarray | None = None) -> str:
    screen = Console(
        file=io.StringIO(), width=width, force_terminal=coloured, color_system="truecolor" if coloured else None
    )
    samples = synthesise(PROFILE, 8000) if samples is None else samples
    screen.print(draw_samples(samples, 8000, marks))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 150])
def test_it_is_as_wide_as_the_terminal(width: int) -> None:
    lines = drawn(width).splitlines()
    assert max(cell_len(line) for line in lines) == width


def test_without_colour_the_tones_are_shaded_at_their_places() -> None:
    lines = drawn(108).splitlines()
    (third,) = [line for line in lines if line.startswith("3000 Hz")]
    assert set(third[8 + 3 : 8 + 28]) == {" "}
    assert set(third[8 + 55 : 8 + 75]) <= set("▒▓█")
    assert "1000 ms" in lines[-1]


def test_the_plan_shows_where_the_sound_is_and_where_it_is_not() -> None:
    lines = drawn(108, marks=(*marks_of_profile(PROFILE), Mark(850, 950, ((2000, 2000),)))).splitlines()
    assert any("━━━━━━━━━━" in line[8:40] for line in lines)
    (missing,) = [line for line in lines if "╌" in line]
    assert missing.startswith("2000 Hz")
    (plan,) = [line for line in lines if line.startswith("   plan ")]
    assert plan.count("├") == plan.count("┤") == 3


def test_with_colour_there_are_half_blocks() -> None:
    text = drawn(80, coloured=True, marks=marks_of_profile(PROFILE))
    assert "▀" in text
    assert "\x1b[" in text
    assert "\x1b[" not in drawn(80)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(8000)])
def test_silence_can_be_drawn(samples: np.ndarray) -> None:
    assert drawn(60, samples=samples, marks=(Mark(0, 10, ((400, 400),)),))
