from __future__ import annotations

from idtone.tones.drawing import draw

from .profiles import make, tone


def test_a_row_for_each_frequency_highest_first() -> None:
    profile = make(tone(600, on_ms=50, off_ms=20), tone(600, 1000.5, on_ms=30))
    assert draw(profile).splitlines() == [
        " 1000.5 Hz        ███",
        "    600 Hz █████  ███",
        "          0    100 ms",
    ]


def test_modulation_looks_different() -> None:
    assert "▒▒▒▒▒" in draw(make(tone(600, on_ms=50, modulation={"rate_hz": 20, "depth": 1})))


def test_a_long_sound_fits_and_a_short_burst_stays_visible() -> None:
    lines = draw(make(tone(600, on_ms=1, ramp_ms=0, off_ms=9_000), tone(700, on_ms=1, ramp_ms=0))).splitlines()
    assert max(map(len, lines)) <= 72
    assert [line.count("█") for line in lines] == [1, 1, 0]
