import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import DocumentError, ToneError
from idtone.tones.notations.tgml import conversion_losses, from_tgml, to_tgml
from idtone.tones.profile import Law
from lab.tones.error_text import error_text
from lab.tones.notations.profile_strategies import audible_properties, check_reading, plain_profiles
from lab.tones.profiles import make_profile, tone

tones = st.builds(
    lambda frequencies, level: {"frequencies_hz": frequencies, "level_dbm0": level / 100},
    st.lists(st.integers(300, 3400) | st.floats(300, 3400), min_size=1, max_size=8, unique=True),
    st.integers(-4000, -1300),
)


@given(plain_profiles(tones))
@settings(max_examples=25, deadline=None)
def test_a_profile_survives_a_round_trip_through_tgml(profile):
    again = from_tgml(to_tgml(profile), name=profile.id)
    assert audible_properties(again) == audible_properties(profile)
    assert audible_properties(from_tgml(to_tgml(again))) == audible_properties(profile)


@given(st.text(alphabet="0123456789%(),;=vdwlLcr<>+-.A*# \nloopsx", max_size=40))
@settings(max_examples=80, deadline=None)
def test_any_text_is_a_profile_or_a_clear_error(text):
    check_reading("TGML", from_tgml, to_tgml, text)


def libteletone(volume_db, *frequencies_hz):
    """A second of teletone_mux_tones at 8000 Hz in 16-bit steps, with an exact sine table."""
    scale = int(10 ** ((volume_db - 6.16) / 20) * (32767 * 1.414214))
    position = np.arange(8000)
    tones = [np.rint(32767 * np.sin(2 * np.pi * f * position / 8000)).astype(int) for f in frequencies_hz]
    total = 128 + sum((one * scale) >> 15 for one in tones)
    return np.trunc(total / len(frequencies_hz))


@pytest.mark.parametrize("law", list(Law))
@pytest.mark.parametrize("frequencies_hz", [(601,), (601, 997), (601, 801, 997, 1403)])
@pytest.mark.parametrize("level_dbm0", [-16, -23.5])
def test_the_volume_gives_the_level_of_libteletones_output(law, frequencies_hz, level_dbm0):
    text = to_tgml(make_profile(tone(*frequencies_hz), level_dbm0=level_dbm0, law=law))
    samples = libteletone(float(text.partition(";")[0].removeprefix("v=")), *frequencies_hz)
    measured = 20 * math.log10(np.std(samples) * math.sqrt(2) / 32768) + law.full_scale_dbm0
    assert measured == pytest.approx(level_dbm0, abs=0.02)


def times(text, **more):
    profile = from_tgml(text, **more)
    return [(s.frequencies_hz, s.on_ms, s.off_ms) for s in profile.segments] * profile.repeat


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("%(2000,4000,440,480)", [((440, 480), 2000, 4000)]),
        ("tone_stream://%( 100 , 50 , 440.5 , 0 , 900 )", [((440.5,), 100, 50)]),
        ("1", [((697, 1209), 250, 62.5)]),
        ("d=100;w=50;18(70,30)", [((697, 1209), 100, 50), ((859, 1336), 70, 30)]),
        ("*#D", [((941, 1209), 250, 62.5), ((941, 1477), 250, 62.5), ((941, 1633), 250, 62.5)]),
        ("%(0,100,400);%(50,0,600)%(0,70,600)", [((), 100, 0), ((600,), 50, 70)]),
    ],
)
def test_tones_digits_and_silence_are_read(text, read):
    assert times(text) == read


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
def test_loops(text, played):
    assert [frequencies[0] for frequencies, _, _ in times(text, repeat=2)] == played


def test_many_rounds_are_one_round_repeated():
    profile = from_tgml("L=100;%(10,0,600);%(10,0,700);loops=3")
    assert (len(profile.segments), profile.repeat) == (2, 300)


def test_settings_of_one_round_hold_in_the_next_and_a_requested_level_is_that_of_the_loudest_tone():
    def levels(text, **more):
        profile = from_tgml(text, **more)
        return [profile.level_of(segment) for segment in profile.segments]

    assert levels("%(10,0,600);v=-20;L=3;") == [-7.01, -20.01, -20.01]
    assert levels("v=-20;%(10,0,600);v=-13;%(10,0,600)", level_dbm0=-16) == [-23, -16]


REFUSED = {
    "": "contain no tone",
    "%(100,100)": "part 1 '%(100,100)': '%(100,100)' is incomplete. Write %(on,off,frequency)",
    "1(100)": "'1(100)' is incomplete. Write 1 or 1(on,off)",
    "1(100,50,600)": "is incomplete",
    "%(100,100,600": "is incomplete",
    "%(1.5,0,600)": "needs times in whole milliseconds",
    "%(-1,0,600)": "needs times in whole milliseconds",
    "%(100,0,6OO)": "'6OO' is not a frequency",
    "%(100,0,-600)": "'-600' is not a frequency",
    "%(100,0,0)": "Write silence as %(0,100,400)",
    "%(9,0,600);E": "part 2 'E': is not a tone from 'E' on",
    "%(9,0,600);1x": "is not a tone from 'x' on",
    ">=10;%(9,0,600)": "part 1 '>=10': is a fade",
    "<=10;%(9,0,600)": "is a fade",
    "+=.5;%(9,0,600)": "is not a setting",
    "+=0.5;%(9,0,600)": "is a fade",
    "c=2;%(9,0,600)": "one channel",
    "r=16000;%(9,0,600)": "another rate",
    "v=1;%(9,0,600)": "outside -63 to 0",
    "v=-7%(9,0,600)": "is not a setting",
    "x=1;%(9,0,600)": "is not a setting",
    "d=1.5;1": "drops the fraction",
    "l=-1;%(9,0,600)": "is negative",
    "L=-1;%(9,0,600)": "is negative",
    "%(9,0,600);L=3": "part 2 'L=3': a setting is at the end",
    "%(9,0,600);v=-7;loops=2": "a setting is at the end",
    "%(9,0,600);loops=x": "not a number of loops",
    "%(9,0,600);loops=2;1": "not a number of loops",
    "l=99999;%(9,0,600)": "is beyond 10000 tones",
    "L=99999;%(9,0,600)": "more than 10000 tones",
    "path=/etc/passwd": "is not a tone",
    "%(9,0,200)": "frequencies_hz",
    "%(9,0,600);loops=20000": "repeat",
}


def test_a_part_that_no_profile_can_express_is_an_error_that_names_it():
    for text, says in REFUSED.items():
        said = error_text((ToneError, DocumentError), from_tgml, text)
        assert says in said
        assert said.startswith("TGML")


STAIRS = tone(600, on_ms=90, sweep={"to_hz": (800,), "steps": 3})
# A volume is written only where the level changes.
LEVELS = (tone(on_ms=40), tone(600, on_ms=100, off_ms=20), tone(700, on_ms=50, level_dbm0=-20), tone(800))
WRITTEN = "L=2;%(0,40,600);v=-15.99;%(100,20,600);v=-19.99;%(50,0,700);v=-15.99;%(200,0,800)"


def test_what_is_written():
    assert to_tgml(make_profile(*LEVELS, repeat=2)) == WRITTEN
    assert to_tgml(make_profile(STAIRS)) == "v=-15.99;%(30,0,600);%(30,0,700);%(30,0,800)"
    # FreeSWITCH's highest volume.
    assert to_tgml(make_profile(tone(600, 700, 800), level_dbm0=-3)) == "v=0;%(200,0,600,700,800)"


def test_steps_under_a_millisecond_are_partly_left_out():
    profile = from_tgml(to_tgml(make_profile(tone(600, on_ms=10, sweep={"to_hz": (800,), "steps": 40}))))
    assert (profile.duration_ms, len(profile.segments)) == (10, 10)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, []),
        ({"ramp_ms": 5}, ["the ramps"]),
        ({"modulation": {"rate_hz": 20, "depth": 0.9}}, ["the modulation"]),
        ({"level_dbm0": -16.004}, ["hundredths"]),
        ({"frequencies_hz": (600, 700, 800), "level_dbm0": -3}, ["the level"]),
    ],
)
def test_each_loss_is_reported(changed, says):
    lost = conversion_losses(make_profile(tone(600, on_ms=100, off_ms=20, ramp_ms=0) | changed))
    assert [loss[: len(said)] for loss, said in zip(lost, says, strict=True)] == says
    also = conversion_losses(make_profile(tone(600, ramp_ms=0), dither_seed=1, tolerance={"level_db": 3}))
    assert also == ("the dither", "the tolerance")
