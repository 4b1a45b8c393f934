from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from idtone.errors import UsageError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.showing.marks import marks_of_profile
from idtone.tones.showing.plotting import LEGS, Panel, plot

from ..profiles import make, tone

PROFILE = make(tone(400, 500), tone(600, on_ms=300, sweep={"to_hz": [2400], "steps": 4}))


def panel(name: str = "left") -> Panel:
    return Panel(name, synthesise(PROFILE, 8000), 8000, marks_of_profile(PROFILE))


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


@pytest.mark.parametrize("title", ["Plain", "見本音 🔔", "$x^2$", "\\frac"])
def test_any_title_is_drawn_without_a_warning(tmp_path: Path, title: str) -> None:
    plot(tmp_path / "plot.png", title, [panel(title)], "plain")
    assert size(tmp_path / "plot.png")[0] == 1430
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_many_legs_and_an_hour_make_no_larger_picture(tmp_path: Path) -> None:
    hour = Panel("hour", np.zeros(8000 * 3600, np.float32), 8000, ())
    plot(tmp_path / "hour.png", "Hour", [hour])
    assert size(tmp_path / "hour.png") == (1430, 682)
    empty = Panel("empty", np.zeros(0), 8000, ())
    plot(tmp_path / "legs.png", "Legs", [empty] * 20)
    assert size(tmp_path / "legs.png") == (1430, round(110 * (1 + 5.2 * LEGS)))


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        plot(tmp_path / "missing" / "plot.png", "Plot", [panel()])


def test_a_failed_plot_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        plot(tmp_path / "plot.png", "Plot", [panel()])
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_without_matplotlib_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(UsageError, match=r"pip install 'idtone\[plot\]'"):
        plot(tmp_path / "plot.png", "Plot", [panel()])
