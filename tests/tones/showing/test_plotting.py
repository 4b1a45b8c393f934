import sys

import numpy as np
import pytest

from idtone.core.errors import UsageError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.showing import plotting
from idtone.tones.showing.marks import marks_of_profile
from idtone.tones.showing.plotting import Panel, plot
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone

PROFILE = make_profile(tone(400, 500), tone(600, on_ms=300, sweep={"to_hz": [2400], "steps": 4}))
EMPTY = Panel("empty", np.zeros(0), 8000, ())


def size(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


@pytest.mark.nightly
def test_any_title_is_drawn_without_a_warning(tmp_path):
    title = "見本音 🔔 $x^2$ \\frac"
    plot(tmp_path / "plot.png", title, [Panel(title, synthesise(PROFILE, 8000), 8000, marks_of_profile(PROFILE))])
    assert size(tmp_path / "plot.png")[0] == 1430
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


@pytest.mark.nightly
def test_many_legs_make_no_larger_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(plotting, "LEGS", 2)
    plot(tmp_path / "legs.png", "Legs", [Panel("long", np.zeros(48_000), 8000, ()), *[EMPTY] * 2])
    assert size(tmp_path / "legs.png") == (1430, round(110 * (1 + 5.2 * 2)))


def test_a_picture_that_cannot_be_made_leaves_no_file(tmp_path, monkeypatch):
    (tmp_path / "plot.png").mkdir()
    for path in (tmp_path / "missing" / "plot.png", tmp_path / "plot.png"):
        assert f"{path}: cannot be written: " in error_text(UsageError, plot, path, "Plot", [EMPTY])
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert "pip install 'idtone[plot]'" in error_text(UsageError, plot, tmp_path / "plot.png", "Plot", [EMPTY])
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
