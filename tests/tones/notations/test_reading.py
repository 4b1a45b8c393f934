from __future__ import annotations

import pytest

from idtone.tones.notations.reading import ASTERISK_LEVEL_DBM0, from_notation


@pytest.mark.parametrize(
    "text",
    [
        "%(100,50,600)",
        "tone_stream://%(100,50,600)",
        "d=100;w=50;%(100,50,600)",
        " v=-7;%(100,50,600)",
        "L=1;%(100,50,600)",
    ],
)
def test_settings_and_brackets_are_tgml(text: str) -> None:
    profile = from_notation(text, name="x", title="T")
    assert (profile.id, profile.title, profile.level_dbm0) == ("x", "T", -7.01)
    assert from_notation(text, level_dbm0=-20).level_dbm0 == -20


def test_a_digit_with_brackets_is_tgml() -> None:
    assert from_notation("5(100,50)").segments[0].frequencies_hz == (770, 1336)


@pytest.mark.parametrize(
    "text", ["600/100,0/50", "!600/100,!0/50", "600/100|0/50", "!600+700/100,!0/50", "M72/100,0/50"]
)
def test_everything_else_is_a_tone_string(text: str) -> None:
    profile = from_notation(text, name="x", title="T")
    assert (profile.id, profile.title, profile.level_dbm0) == ("x", "T", ASTERISK_LEVEL_DBM0)
    assert (profile.segments[0].on_ms, profile.segments[0].off_ms) == (100, 50)
    assert from_notation(text, level_dbm0=-20).level_dbm0 == -20


@pytest.mark.parametrize("text", ["600/100,0/50", "%(100,50,600);loops=-1"])
def test_an_endless_sound_is_repeated_as_requested(text: str) -> None:
    assert from_notation(text, repeat=3).repeat == 3
