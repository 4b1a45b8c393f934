import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.inspection import inspect
from idtone.tones.showing.marks import MARKS, BurstMark, marks_of_inspection, marks_of_profile, top_hz_of
from idtone.tones.showing.spectrogram import spectrogram
from idtone.tones.showing.terminal_picture import draw_samples
from lab.tones.profiles import make_profile, tone

PROFILE = make_profile(tone(1000, on_ms=300, off_ms=200), tone(3000, on_ms=300, off_ms=200))
SOUND = synthesise(PROFILE, 8000)


def drawn(width, coloured=False, marks=(), samples=SOUND):
    file, colours = io.StringIO(), "truecolor" if coloured else None
    screen = Console(file=file, width=width, force_terminal=coloured, color_system=colours)
    screen.print(draw_samples(samples, 8000, marks))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 150])
def test_it_is_as_wide_as_the_terminal(width):
    assert max(cell_len(line) for line in drawn(width).splitlines()) == width


def test_without_colour_the_tones_are_shaded_at_their_places():
    lines = drawn(108).splitlines()
    (third,) = [line for line in lines if line.startswith("3000 Hz")]
    assert set(third[8 + 3 : 8 + 28]) == {" "}
    assert set(third[8 + 55 : 8 + 75]) <= set("▒▓█")
    assert "1000 ms" in lines[-1]


def test_the_plan_shows_where_the_sound_is_and_where_it_is_not():
    lines = drawn(108, marks=(*marks_of_profile(PROFILE), BurstMark(850, 950, ((2000, 2000),)))).splitlines()
    assert any("━━━━━━━━━━" in line[8:40] for line in lines)
    (missing,) = [line for line in lines if "╌" in line]
    assert missing.startswith("2000 Hz")
    (plan,) = [line for line in lines if line.startswith("   plan ")]
    assert plan.count("├") == plan.count("┤") == 3


def test_with_colour_there_are_half_blocks():
    text = drawn(80, coloured=True, marks=marks_of_profile(PROFILE))
    assert "▀" in text
    assert "\x1b[" in text
    assert "\x1b[" not in drawn(80)


def test_silence_can_be_drawn():
    for length in (0, 1, 8000):
        assert drawn(60, samples=np.zeros(length), marks=(BurstMark(0, 10, ((400, 400),)),))


def test_the_marks_of_a_glide_are_its_ends():
    samples = synthesise(make_profile(tone(800, on_ms=300, off_ms=50, sweep={"to_hz": [1200]})), 8000)
    (mark,) = marks_of_inspection(inspect(samples, 8000))
    assert mark.lines_hz[0] == pytest.approx((800, 1200), abs=1)


def test_a_picture_covers_the_band_and_its_marks_are_limited():
    assert len(marks_of_profile(make_profile(tone(400, on_ms=100, off_ms=100), repeat=10_000))) == MARKS
    assert (top_hz_of(48_000, ()), top_hz_of(48_000, (BurstMark(0, 1, ((6000, 6000),)),))) == (
        4000,
        pytest.approx(6900),
    )


def test_a_tone_lies_in_its_row_and_at_its_time():
    samples = np.sin(2 * np.pi * 1030 * np.arange(8000) / 8000)
    samples[4000:] = 0
    levels = spectrogram(samples, 8000, 60, 40, 4000)
    assert set(levels[:, 3:27].argmax(axis=0)) == {10}
    assert (levels.max(), levels[:, 33:].max()) == (0, -70), "below 70 dB a picture is empty"
