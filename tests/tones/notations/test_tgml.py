from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import DocumentError, ToneError
from idtone.tones.notations.tgml import from_tgml, losses, to_tgml
from idtone.tones.profile import DURATION_LIMIT_MS, Law, Profile

from ..profiles import make, recording, tone

frequencies = st.one_of(st.integers(300, 3400), st.floats(300, 3400))
segments = st.builds(
    lambda frequencies, on, off, level: {
        "frequencies_hz": frequencies,
        "on_ms": on,
        "off_ms": off,
        "ramp_ms": min(5, on / 2),
        "level_dbm0": level / 100 if frequencies else None,
    },
    st.lists(frequencies, max_size=8, unique=True),
    st.integers(1, 400),
    st.one_of(st.just(0), st.integers(1, 400)),
    st.integers(-4000, -1300),
)
expressible = (
    st.tuples(st.lists(segments, min_size=1, max_size=5), st.integers(1, 3))
    .filter(lambda drawn: any(segment["frequencies_hz"] for segment in drawn[0]))
    .map(lambda drawn: make(*drawn[0], repeat=drawn[1]))
)


def heard(profile: Profile) -> tuple[object, ...]:
    """All audible properties, however the profile divides the sound into segments."""
    bursts = [(b.start_ms, b.end_ms, b.segment.frequencies_hz, profile.level_of(b.segment)) for b in profile.bursts()]
    return profile.duration_ms, *bursts


@given(expressible)
@settings(max_examples=100, deadline=None)
def test_a_profile_survives_a_round_trip_through_tgml(profile: Profile) -> None:
    text = to_tgml(profile)
    again = from_tgml(text, name=profile.id)
    assert heard(again) == heard(profile)
    assert heard(from_tgml(to_tgml(again))) == heard(profile)


@given(st.text(alphabet="0123456789%(),;=vdwlLcr<>+-.A*# \nloopsx", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_profile_or_a_clear_error(text: str) -> None:
    try:
        profile = from_tgml(text)
    except (ToneError, DocumentError) as error:
        said = str(error)
    else:
        assert 0 < profile.duration_ms <= DURATION_LIMIT_MS
        said = f"TGML {to_tgml(profile)}"
    assert said.startswith("TGML")


# -- the output of libteletone ----------------------------------------------------------------------------------


def libteletone(volume_db: float, *frequencies_hz: float) -> np.ndarray:
    """A second of teletone_mux_tones at 8000 Hz in 16-bit steps, with an exact sine table."""
    scale = int(10 ** ((volume_db - 6.16) / 20) * (32767 * 1.414214))
    position = np.arange(8000)
    tones = [np.rint(32767 * np.sin(2 * np.pi * f * position / 8000)).astype(int) for f in frequencies_hz]
    total = 128 + sum((one * scale) >> 15 for one in tones)
    return np.trunc(total / len(frequencies_hz))


@pytest.mark.parametrize("law", list(Law))
@pytest.mark.parametrize("frequencies_hz", [(601,), (601, 997), (601, 801, 997, 1403)])
@pytest.mark.parametrize("level_dbm0", [-16, -23.5])
def test_the_volume_gives_the_level(law: Law, frequencies_hz: tuple[float, ...], level_dbm0: float) -> None:
    text = to_tgml(make(tone(*frequencies_hz), level_dbm0=level_dbm0, law=law))
    volume = float(text.partition(";")[0].removeprefix("v="))
    samples = libteletone(volume, *frequencies_hz)
    measured = 20 * math.log10(np.std(samples) * math.sqrt(2) / 32768) + law.full_scale_dbm0
    assert measured == pytest.approx(level_dbm0, abs=0.02)


# -- reading ----------------------------------------------------------------------------------------------------


def times(text: str, **more: object) -> list[tuple[tuple[float, ...], float, float]]:
    profile = from_tgml(text, **more)
    return [(s.frequencies_hz, s.on_ms, s.off_ms) for s in profile.segments] * profile.repeat


def test_a_manual_tone() -> None:
    assert times("%(2000,4000,440,480)") == [((440, 480), 2000, 4000)]
    assert times("tone_stream://%( 100 , 50 , 440.5 , 0 , 900 )") == [((440.5,), 100, 50)]


def test_digits_have_the_settings_or_their_own_times() -> None:
    assert times("1") == [((697, 1209), 250, 62.5)]
    assert times("d=100;w=50;18(70,30)") == [((697, 1209), 100, 50), ((859, 1336), 70, 30)]
    assert times("*#D") == [((941, 1209), 250, 62.5), ((941, 1477), 250, 62.5), ((941, 1633), 250, 62.5)]


def test_no_length_is_silence() -> None:
    assert times("%(0,100,400);%(50,0,600)%(0,70,600)") == [((), 100, 0), ((600,), 50, 70)]


@pytest.mark.parametrize(
    ("text", "played"),
    [
        ("l=3;%(10,0,600);%(10,0,700)", [600, 600, 600, 700]),
        ("L=2;%(10,0,600);%(10,0,700)", [600, 700, 600, 700]),
        ("%(10,0,600);L=2;%(10,0,700);L=5;", [600, 700, 600, 700]),
        ("%(10,0,600);%(10,0,700);l=2;L=2;", [600, 700, 600, 600, 700]),
        ("%(10,0,600);loops=3", [600, 600, 600]),
        ("%(10,0,600);LOOPS=0", [600]),
        ("%(10,0,600);loops=-1", [600, 600]),
        ("L=2;%(10,0,600)%(10,0,700);loops=2", [600, 700] * 4),
    ],
)
def test_loops(text: str, played: list[float]) -> None:
    assert [frequencies[0] for frequencies, _, _ in times(text, repeat=2)] == played


def test_many_rounds_are_one_round_repeated() -> None:
    profile = from_tgml("L=100;%(10,0,600);%(10,0,700);loops=3")
    assert (len(profile.segments), profile.repeat) == (2, 300)


def test_settings_of_one_round_hold_in_the_next() -> None:
    profile = from_tgml("%(10,0,600);v=-20;L=3;")
    assert [profile.level_of(segment) for segment in profile.segments] == [-7.01, -20.01, -20.01]


def test_the_requested_level_is_that_of_the_loudest_tone() -> None:
    profile = from_tgml("v=-20;%(10,0,600);v=-13;%(10,0,600)", level_dbm0=-16)
    assert [profile.level_of(segment) for segment in profile.segments] == [-23, -16]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "contain no tone"),
        ("%(100,100)", "part 1 '%(100,100)': '%(100,100)' is incomplete. Write %(on,off,frequency)"),
        ("1(100)", "'1(100)' is incomplete. Write 1 or 1(on,off)"),
        ("1(100,50,600)", "is incomplete"),
        ("%(100,100,600", "is incomplete"),
        ("%(1.5,0,600)", "needs times in whole milliseconds"),
        ("%(-1,0,600)", "needs times in whole milliseconds"),
        ("%(100,0,6OO)", "'6OO' is not a frequency"),
        ("%(100,0,-600)", "'-600' is not a frequency"),
        ("%(100,0,0)", "Write silence as %(0,100,400)"),
        ("%(9,0,600);E", "part 2 'E': is not a tone from 'E' on"),
        ("%(9,0,600);1x", "is not a tone from 'x' on"),
        (">=10;%(9,0,600)", "part 1 '>=10': is a fade"),
        ("<=10;%(9,0,600)", "is a fade"),
        ("+=.5;%(9,0,600)", "is not a setting"),
        ("+=0.5;%(9,0,600)", "is a fade"),
        ("c=2;%(9,0,600)", "one channel"),
        ("r=16000;%(9,0,600)", "another rate"),
        ("v=1;%(9,0,600)", "outside -63 to 0"),
        ("v=-7%(9,0,600)", "is not a setting"),
        ("x=1;%(9,0,600)", "is not a setting"),
        ("d=1.5;1", "drops the fraction"),
        ("l=-1;%(9,0,600)", "is negative"),
        ("L=-1;%(9,0,600)", "is negative"),
        ("%(9,0,600);L=3", "part 2 'L=3': a setting is at the end"),
        ("%(9,0,600);v=-7;loops=2", "a setting is at the end"),
        ("%(9,0,600);loops=x", "not a number of loops"),
        ("%(9,0,600);loops=2;1", "not a number of loops"),
        ("l=99999;%(9,0,600)", "is beyond 10000 tones"),
        ("L=99999;%(9,0,600)", "more than 10000 tones"),
        ("path=/etc/passwd", "is not a tone"),
        ("%(9,0,200)", "frequencies_hz"),
        ("%(9,0,600);loops=20000", "repeat"),
    ],
)
def test_a_part_that_no_profile_can_express_is_an_error_that_names_it(text: str, says: str) -> None:
    with pytest.raises((ToneError, DocumentError)) as caught:
        from_tgml(text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("TGML")


# -- writing ----------------------------------------------------------------------------------------------------


def test_a_setting_is_written_only_where_the_level_changes() -> None:
    profile = make(
        tone(on_ms=40), tone(600, on_ms=100, off_ms=20), tone(700, on_ms=50, level_dbm0=-20), tone(800), repeat=2
    )
    written = "L=2;%(0,40,600);v=-15.99;%(100,20,600);v=-19.99;%(50,0,700);v=-15.99;%(200,0,800)"
    assert to_tgml(profile) == written


def test_sweeps_become_steps() -> None:
    swept = tone(600, on_ms=90, sweep={"to_hz": (800,), "steps": 3})
    assert to_tgml(make(swept)) == "v=-15.99;%(30,0,600);%(30,0,700);%(30,0,800)"


def test_steps_under_a_millisecond_are_partly_left_out() -> None:
    profile = from_tgml(to_tgml(make(tone(600, on_ms=10, sweep={"to_hz": (800,), "steps": 40}))))
    assert profile.duration_ms == 10
    assert len(profile.segments) == 10


def test_a_recording_cannot_be_written() -> None:
    with pytest.raises(ToneError, match="is a recording"):
        to_tgml(recording())


PLAIN = tone(600, on_ms=100, off_ms=20, ramp_ms=0)


def test_a_plain_tone_loses_nothing() -> None:
    assert losses(make(PLAIN)) == ()


@pytest.mark.parametrize(
    ("segment", "says"),
    [
        (PLAIN | {"ramp_ms": 5}, "the ramps"),
        (PLAIN | {"modulation": {"rate_hz": 20, "depth": 0.9}}, "the modulation"),
        (PLAIN | {"level_dbm0": -16.004}, "hundredths"),
        (PLAIN | {"frequencies_hz": (600, 700, 800), "level_dbm0": -3}, "the level"),
    ],
)
def test_each_loss_is_reported(segment: dict[str, object], says: str) -> None:
    (loss,) = losses(make(segment))
    assert loss.startswith(says)


def test_the_level_is_limited_to_freeswitchs_highest() -> None:
    assert to_tgml(make(tone(600, 700, 800), level_dbm0=-3)) == "v=0;%(200,0,600,700,800)"
