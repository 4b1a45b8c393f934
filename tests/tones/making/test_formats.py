from __future__ import annotations

from idtone.tones.making.formats import FORMATS


def test_the_names_are_asterisks() -> None:
    assert set(FORMATS) == {
        *("wav", "wav16", "sln", "sln12", "sln16", "sln24", "sln32", "sln48", "sln96", "sln192", "ulaw", "alaw", "au"),
        *("gsm", "g722", "g726-32", "ogg", "opus", "spx", "mp3", "m4a"),
    }
    rates = {name: each.sample_rate_hz for name, each in FORMATS.items() if name.startswith("sln")}
    assert rates == {f"sln{khz or ''}": 1000 * (khz or 8) for khz in (None, 12, 16, 24, 32, 48, 96, 192)}
    assert FORMATS["sln16"].extension == ".sln16"
    assert [name for name, each in FORMATS.items() if each.delay_ms is None] == ["mp3", "m4a"]


def test_the_linear_formats_hold_the_samples_themselves() -> None:
    linear = {name for name, each in FORMATS.items() if each.linear}
    assert linear == {name for name in FORMATS if name.startswith(("sln", "wav"))}
