from __future__ import annotations

import pytest

from idtone.errors import ToneError
from idtone.tones.notations.plain_tones import TONES_LIMIT, plain_losses, plain_tones, with_pauses
from idtone.tones.profile import Profile

from ..profiles import make, recording, tone


def plan(profile: Profile) -> list[tuple[float, float, tuple[float, ...]]]:
    return [(tone.start_ms, tone.end_ms, tone.frequencies_hz) for tone in plain_tones(profile)]


def test_a_stepped_sweep_keeps_its_steps() -> None:
    swept = tone(600, 900, on_ms=90, off_ms=10, sweep={"to_hz": (800, 700), "steps": 3})
    stairs = [(0, 30, (600, 900)), (30, 60, (700, 800)), (60, 90, (800, 700))]
    assert plan(make(swept)) == stairs
    assert plan(make(swept, repeat=2))[3] == (100, 130, (600, 900))


def test_a_glide_becomes_steps_at_their_middle_frequencies() -> None:
    assert plan(make(tone(600, on_ms=80, sweep={"to_hz": (800,)}))) == [
        (0, 20, (625,)),
        (20, 40, (675,)),
        (40, 60, (725,)),
        (60, 80, (775,)),
    ]


def test_a_recording_has_no_notation() -> None:
    with pytest.raises(ToneError, match="is a recording"):
        list(plain_tones(recording()))


def test_too_many_tones_are_refused() -> None:
    profile = make(tone(600, on_ms=10, off_ms=10), repeat=TONES_LIMIT)
    assert sum(1 for _ in plain_tones(profile)) == TONES_LIMIT
    with pytest.raises(ToneError, match="more than 1000 tones"):
        list(plain_tones(make(tone(600, on_ms=10, off_ms=10), repeat=TONES_LIMIT + 1)))
    with pytest.raises(ToneError, match="more than 1000 tones"):
        list(plain_tones(make(*[tone(600, on_ms=3_000_000, sweep={"to_hz": (700,)}), tone(600)])))


def test_silence_joins_the_pause_before_it() -> None:
    silence = {"frequencies_hz": (), "on_ms": 30.0}
    burst = {"frequencies_hz": (600,), "on_ms": 10.0, "off_ms": 5.0}
    assert with_pauses([silence, burst, silence, silence]) == [silence, burst | {"off_ms": 65.0}]


@pytest.mark.parametrize(
    ("segment", "more", "says"),
    [
        (tone(600, ramp_ms=5), {}, "the ramps"),
        (tone(600, ramp_ms=0), {"dither_seed": 1}, "the dither"),
        (tone(600, ramp_ms=0), {"tolerance": {"level_db": 3}}, "the tolerance"),
        (tone(600, ramp_ms=0, on_ms=10.5), {}, "fractions of a millisecond"),
        (tone(600, ramp_ms=0, on_ms=100, sweep={"to_hz": (700,), "steps": 2}), {}, "the phase"),
    ],
)
def test_each_loss_is_reported(segment: dict[str, object], more: dict[str, object], says: str) -> None:
    (loss,) = plain_losses(make(segment, **more), "Playtones")
    assert loss.startswith(says)


def test_a_glide_loses_its_even_course_and_its_phase() -> None:
    glide, phase = plain_losses(make(tone(600, ramp_ms=0, sweep={"to_hz": (700,)})), "Playtones")
    assert glide.startswith("the glide: written as steps")
    assert phase.startswith("the phase")
