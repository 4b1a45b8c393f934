from __future__ import annotations

import pytest

from idtone.errors import ToneError
from idtone.tones.notations.plain_tones import TONES_LIMIT, plain_losses, plain_tones, with_pauses

from ..profiles import make, tone
from ..refusing import refusal


def plan(profile):
    return [(tone.start_ms, tone.end_ms, tone.frequencies_hz) for tone in plain_tones(profile)]


def test_a_sweep_keeps_its_steps_and_a_glide_becomes_steps_at_their_middle_frequencies():
    swept = tone(600, 900, on_ms=90, off_ms=10, sweep={"to_hz": (800, 700), "steps": 3})
    stairs = [(0, 30, (600, 900)), (30, 60, (700, 800)), (60, 90, (800, 700))]
    assert plan(make(swept)) == stairs
    assert plan(make(swept, repeat=2))[3] == (100, 130, (600, 900))
    glide = [(0, 20, (625,)), (20, 40, (675,)), (40, 60, (725,)), (60, 80, (775,))]
    assert plan(make(tone(600, on_ms=80, sweep={"to_hz": (800,)}))) == glide


def test_too_many_tones_are_refused():
    burst = tone(600, on_ms=10, off_ms=10)
    assert len(plan(make(burst, repeat=TONES_LIMIT))) == TONES_LIMIT
    glide = tone(600, on_ms=3_000_000, sweep={"to_hz": (700,)})
    for profile in (make(burst, repeat=TONES_LIMIT + 1), make(glide, tone(600))):
        assert "more than 1000 tones" in refusal(ToneError, plan, profile)


def test_silence_joins_the_pause_before_it():
    silence = {"frequencies_hz": (), "on_ms": 30.0}
    burst = {"frequencies_hz": (600,), "on_ms": 10.0, "off_ms": 5.0}
    assert with_pauses([silence, burst, silence, silence]) == [silence, burst | {"off_ms": 65.0}]


@pytest.mark.parametrize(
    ("segment", "more", "says"),
    [
        ({"ramp_ms": 5}, {}, ["the ramps"]),
        ({}, {"dither_seed": 1}, ["the dither"]),
        ({}, {"tolerance": {"level_db": 3}}, ["the tolerance"]),
        ({"on_ms": 10.5}, {}, ["fractions of a millisecond"]),
        ({"on_ms": 100, "sweep": {"to_hz": (700,), "steps": 2}}, {}, ["the phase"]),
        ({"sweep": {"to_hz": (700,)}}, {}, ["the glide: written as steps", "the phase"]),
    ],
)
def test_each_loss_is_reported(segment, more, says):
    losses = plain_losses(make(tone(600, **{"ramp_ms": 0} | segment), **more), "Playtones")
    assert [loss[: len(said)] for loss, said in zip(losses, says, strict=True)] == says
