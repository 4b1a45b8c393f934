import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import DocumentError, ToneError
from idtone.tones.notations.indications import PLAYTONES_DEPTH, conversion_losses, from_asterisk, to_asterisk
from lab.tones.error_text import error_text
from lab.tones.notations.profile_strategies import audible_properties, check_reading, plain_profiles
from lab.tones.profiles import make_profile, tone

hertz = st.integers(300, 3400)
tones = st.builds(lambda a, b: {"frequencies_hz": tuple(dict.fromkeys((a, b)))}, hertz, hertz) | st.builds(
    lambda f, rate: {"frequencies_hz": (f,), "modulation": {"rate_hz": rate, "depth": PLAYTONES_DEPTH}},
    hertz,
    st.integers(1, 100),
)


@given(plain_profiles(tones))
@settings(max_examples=25, deadline=None)
def test_a_profile_survives_a_round_trip_through_a_tone_string(profile):
    text = to_asterisk(profile)
    again = from_asterisk(text, name=profile.id, level_dbm0=profile.level_dbm0)
    assert audible_properties(again) == audible_properties(profile)
    assert to_asterisk(again) == text


@given(st.text(alphabet="0123456789!+*/,|M. -", max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_profile_or_a_clear_error(text):
    check_reading("tone string", from_asterisk, to_asterisk, text)


@pytest.mark.parametrize("text", ["400/100,0/100", "400/100|0/100", " 400/100 , 0/100 ", "400+0/100,0/60,0/40"])
def test_silence_becomes_the_pause(text):
    profile = from_asterisk(text, repeat=3)
    assert [(s.frequencies_hz, s.on_ms, s.off_ms) for s in profile.segments] == [((400,), 100, 100)]
    assert (profile.repeat, profile.level_dbm0) == (3, -16)


def test_two_frequencies_modulation_and_midi_notes():
    added, modulated, note = from_asterisk("400+450/300,400*20/8,M69*M16/100").segments
    assert (added.frequencies_hz, added.modulation) == ((400, 450), None)
    assert modulated.frequencies_hz == (400,)
    assert (modulated.modulation.rate_hz, modulated.modulation.depth) == (20, PLAYTONES_DEPTH)
    assert modulated.ramp_ms == 4, "a ramp of 5 ms would not fit twice"
    assert (note.frequencies_hz, note.modulation.rate_hz) == ((440,), 20)
    # Whole hertz, as in Asterisk.
    for text, hz in (("M63+M64/100", (311, 329)), ("M72+M 76/ 100", (523, 659)), ("! M95/100", (1975,))):
        assert from_asterisk(text).segments[0].frequencies_hz == hz


@pytest.mark.parametrize(
    ("text", "played"),
    [
        ("!400/100,!500/100", [400, 500]),
        ("400/100,500/100", [400, 500, 400, 500]),
        ("!400/100,500/100", [400, 500, 500]),
        ("400/100,!500/100", [400, 500, 400, 500]),
    ],
)
def test_marked_parts_are_played_once_and_the_rest_is_repeated(text, played):
    profile = from_asterisk(text, repeat=2)
    assert [burst.segment.frequencies_hz[0] for burst in profile.bursts()] == played
    assert profile.duration_ms == 100 * len(played)


REFUSED = {
    "": "part 1 '': is not a tone. Write it like 400/100",
    "400/100,": "part 2 '': is not a tone",
    "400/100;0/100": "part 1 '400/100;0/100': is not a tone",
    "M69+440/100": "is not a tone",
    "440+M69/100": "is not a tone",
    "M128/100": "part 1 'M128/100': there is no MIDI note 128. Use one up to 127",
    "M69": "has no end. Give its length in milliseconds, like M69/100",
    "４００/100": "is not a tone",
    "400.5/100": "is not a tone",
    "-400/100": "is not a tone",
    "400+450+500/100": "is not a tone",
    "400/100,500": "part 2 '500': has no end. Give its length in milliseconds, like 500/100",
    "400/0": "has no end. Give its length in milliseconds, like 400/100",
    "400+15/1000,0/2000": "part 1 '400+15/1000': 15 Hz is too low to be heard. Write 400*15",
}
OUT_OF_BOUNDS = {
    "299/100": "segments[0].frequencies_hz[0]",
    "400/100,3401/100": "segments[1].frequencies_hz[0]",
    "400*0/100": "segments[0].modulation.rate_hz",
    "0/100": "segments",
    "400+400/100": "segments[0].frequencies_hz",
}


def test_a_part_without_a_finite_sound_is_an_error_that_names_the_part_or_the_field():
    for text, says in REFUSED.items():
        assert says in error_text(ToneError, from_asterisk, text)
    for text, field in OUT_OF_BOUNDS.items():
        said = error_text(DocumentError, from_asterisk, text)
        assert said.startswith(f"tone string {text!r}: {field}: ")
        assert "\n" not in said


SWEPT = tone(600, 900, on_ms=90, sweep={"to_hz": (800, 700), "steps": 3})
ONCE = "!0/40,!400+450/100,!0/20,!600/60"


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (
            make_profile(tone(on_ms=40), tone(400, 450, on_ms=100, off_ms=20), tone(600, on_ms=60), repeat=2),
            f"{ONCE},{ONCE}",
        ),
        # Fractions are rounded, and do not add up.
        (
            make_profile(tone(600.4, on_ms=10.4, off_ms=10.4), repeat=5),
            "!600/10,!0/11,!600/10,!0/11,!600/10,!0/10,!600/11,!0/10,!600/11,!0/10",
        ),
        (make_profile(SWEPT), "!600+900/30,!700+800/30,!800+700/30"),
        (make_profile(tone(600, on_ms=40, sweep={"to_hz": (800,)})), "!650/20,!750/20"),
    ],
)
def test_what_is_written(profile, text):
    assert to_asterisk(profile) == text


def test_no_step_is_endless():
    text = to_asterisk(make_profile(tone(600, on_ms=10, sweep={"to_hz": (800,), "steps": 40})))
    assert "/0" not in text
    assert from_asterisk(text).duration_ms == 10


def test_what_cannot_be_written():
    for more in ((600, 700, 800), {}), ((600, 700), {"modulation": {"rate_hz": 20, "depth": PLAYTONES_DEPTH}}):
        assert "two frequencies at most" in error_text(ToneError, to_asterisk, make_profile(tone(*more[0], **more[1])))
    long = make_profile(tone(600, 700, on_ms=100, off_ms=100), repeat=500)
    assert "more than 8191 characters" in error_text(ToneError, to_asterisk, long)


PLAIN = tone(600, on_ms=100, off_ms=20, ramp_ms=0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ramp_ms": 5}, ["the ramps"]),
        ({"modulation": {"rate_hz": 20, "depth": 0.9}}, ["the depth"]),
        ({"modulation": {"rate_hz": 20.5, "depth": PLAYTONES_DEPTH}}, ["fractions of a hertz"]),
        ({"frequencies_hz": (600.5,)}, ["fractions of a hertz"]),
        ({"on_ms": 110}, ["the exact times"]),
        ({"off_ms": 30}, ["the exact times"]),
        ({"on_ms": 100.5}, ["fractions of a millisecond: rounded", "the exact times"]),
        ({"sweep": {"to_hz": (800,)}}, ["the glide", "the phase of a sweep"]),
        ({}, []),
    ],
)
def test_each_loss_is_reported_beside_the_level(changed, says):
    level, *others = conversion_losses(make_profile(PLAIN | changed))
    assert level == "the level of -16 dBm0: Playtones plays each frequency at -10 dBm0"
    assert [other[: len(said)] for other, said in zip(others, says, strict=True)] == says
    levels = conversion_losses(make_profile(PLAIN, PLAIN | {"level_dbm0": -20}))
    assert levels == ("the levels of -16, -20 dBm0: Playtones plays each frequency at -10 dBm0",)
