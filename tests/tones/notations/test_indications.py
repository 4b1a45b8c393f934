from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import DocumentError, ToneError
from idtone.tones.notations.indications import PLAYTONES_DEPTH, from_asterisk, losses, to_asterisk
from idtone.tones.profile import DURATION_LIMIT_MS, Profile

from ..profiles import make, recording, tone

frequencies = st.integers(300, 3400)
tones = st.one_of(
    st.builds(lambda f: {"frequencies_hz": (f,)}, frequencies),
    st.builds(lambda a, b: {"frequencies_hz": tuple(dict.fromkeys((a, b)))}, frequencies, frequencies),
    st.builds(
        lambda f, rate: {"frequencies_hz": (f,), "modulation": {"rate_hz": rate, "depth": PLAYTONES_DEPTH}},
        frequencies,
        st.integers(1, 100),
    ),
)
segments = st.builds(
    lambda tone, on, off: tone | {"on_ms": on, "off_ms": off, "ramp_ms": min(5, on / 2)},
    st.one_of(tones, tones, st.just({"frequencies_hz": ()})),
    st.integers(1, 400),
    st.one_of(st.just(0), st.integers(1, 400)),
)
expressible = (
    st.tuples(st.lists(segments, min_size=1, max_size=5), st.integers(1, 2))
    .filter(lambda drawn: any(segment["frequencies_hz"] for segment in drawn[0]))
    .map(lambda drawn: make(*drawn[0], repeat=drawn[1]))
)


def heard(profile: Profile) -> tuple[object, ...]:
    """All audible properties, however the profile divides the sound into segments."""
    bursts = [(b.start_ms, b.end_ms, b.segment.frequencies_hz, b.segment.modulation) for b in profile.bursts()]
    return profile.duration_ms, *bursts


@given(expressible)
@settings(max_examples=60, deadline=None)
def test_a_profile_survives_a_round_trip_through_a_tone_string(profile: Profile) -> None:
    text = to_asterisk(profile)
    again = from_asterisk(text, name=profile.id, level_dbm0=profile.level_dbm0)
    assert heard(again) == heard(profile)
    assert to_asterisk(again) == text


@given(st.text(alphabet="0123456789!+*/,|M. -", max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_profile_or_a_clear_error(text: str) -> None:
    try:
        profile = from_asterisk(text)
    except (ToneError, DocumentError) as error:
        said = str(error)
    else:
        assert 0 < profile.duration_ms <= DURATION_LIMIT_MS
        said = f"tone string {to_asterisk(profile)}"
    assert said.startswith("tone string")


@pytest.mark.parametrize("text", ["400/100,0/100", "400/100|0/100", " 400/100 , 0/100 ", "400+0/100,0/60,0/40"])
def test_silence_becomes_the_pause(text: str) -> None:
    profile = from_asterisk(text, repeat=3)
    assert [(s.frequencies_hz, s.on_ms, s.off_ms) for s in profile.segments] == [((400,), 100, 100)]
    assert profile.repeat == 3
    assert profile.level_dbm0 == -16


def test_two_frequencies_and_modulation() -> None:
    added, modulated = from_asterisk("400+450/300,400*20/8").segments
    assert added.frequencies_hz == (400, 450)
    assert added.modulation is None
    assert modulated.frequencies_hz == (400,)
    assert modulated.modulation is not None
    assert (modulated.modulation.rate_hz, modulated.modulation.depth) == (20, PLAYTONES_DEPTH)
    assert modulated.ramp_ms == 4, "a ramp of 5 ms would not fit twice"


@pytest.mark.parametrize(
    ("text", "frequencies_hz"),
    [("M69/100", (440,)), ("M63+M64/100", (311, 329)), ("M72+M 76/ 100", (523, 659)), ("! M95/100", (1975,))],
)
def test_midi_notes_are_whole_hertz_as_in_asterisk(text: str, frequencies_hz: tuple[int, ...]) -> None:
    assert from_asterisk(text).segments[0].frequencies_hz == frequencies_hz


def test_a_note_can_be_modulated() -> None:
    (segment,) = from_asterisk("M69*M16/100").segments
    assert segment.modulation is not None
    assert segment.modulation.rate_hz == 20


@pytest.mark.parametrize(
    ("text", "played"),
    [
        ("!400/100,!500/100", [400, 500]),
        ("400/100,500/100", [400, 500, 400, 500]),
        ("!400/100,500/100", [400, 500, 500]),
        ("400/100,!500/100", [400, 500, 400, 500]),
    ],
)
def test_marked_parts_are_played_once_and_the_rest_is_repeated(text: str, played: list[int]) -> None:
    profile = from_asterisk(text, repeat=2)
    assert [burst.segment.frequencies_hz[0] for burst in profile.bursts()] == played
    assert profile.duration_ms == 100 * len(played)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "part 1 '': is not a tone. Write it like 400/100"),
        ("400/100,", "part 2 '': is not a tone"),
        ("400/100;0/100", "part 1 '400/100;0/100': is not a tone"),
        ("M69+440/100", "is not a tone"),
        ("440+M69/100", "is not a tone"),
        ("M128/100", "part 1 'M128/100': there is no MIDI note 128. Use one up to 127"),
        ("M69", "has no end. Give its length in milliseconds, like M69/100"),
        ("４００/100", "is not a tone"),
        ("400.5/100", "is not a tone"),
        ("-400/100", "is not a tone"),
        ("400+450+500/100", "is not a tone"),
        ("400/100,500", "part 2 '500': has no end. Give its length in milliseconds, like 500/100"),
        ("400/0", "has no end. Give its length in milliseconds, like 400/100"),
        ("400+15/1000,0/2000", "part 1 '400+15/1000': 15 Hz is too low to be heard. Write 400*15"),
    ],
)
def test_a_part_without_a_finite_sound_is_an_error_that_names_it(text: str, says: str) -> None:
    with pytest.raises(ToneError) as caught:
        from_asterisk(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("299/100", "segments[0].frequencies_hz[0]"),
        ("400/100,3401/100", "segments[1].frequencies_hz[0]"),
        ("400*0/100", "segments[0].modulation.rate_hz"),
        ("0/100", "segments"),
        ("400+400/100", "segments[0].frequencies_hz"),
    ],
)
def test_a_value_out_of_bounds_is_a_fault_of_its_field(text: str, field: str) -> None:
    with pytest.raises(DocumentError) as caught:
        from_asterisk(text)
    assert [fault.field for fault in caught.value.faults] == [field]
    assert str(caught.value).startswith(f"tone string {text!r}: {field}: ")


def test_every_part_is_written_as_played_once() -> None:
    profile = make(tone(on_ms=40), tone(400, 450, on_ms=100, off_ms=20), tone(600, on_ms=60), repeat=2)
    once = "!0/40,!400+450/100,!0/20,!600/60"
    assert to_asterisk(profile) == f"{once},{once}"


def test_fractions_are_rounded_without_adding_up() -> None:
    profile = make(tone(600.4, on_ms=10.4, off_ms=10.4), repeat=5)
    assert to_asterisk(profile) == "!600/10,!0/11,!600/10,!0/11,!600/10,!0/10,!600/11,!0/10,!600/11,!0/10"


@pytest.mark.parametrize(
    "segment", [tone(600, 700, 800), tone(600, 700, modulation={"rate_hz": 20, "depth": PLAYTONES_DEPTH})]
)
def test_more_than_two_frequencies_cannot_be_written(segment: dict[str, object]) -> None:
    with pytest.raises(ToneError, match="two frequencies at most"):
        to_asterisk(make(segment))


def test_a_recording_cannot_be_written() -> None:
    with pytest.raises(ToneError, match="is a recording"):
        to_asterisk(recording())


def test_sweeps_become_steps() -> None:
    swept = tone(600, 900, on_ms=90, sweep={"to_hz": (800, 700), "steps": 3})
    assert to_asterisk(make(swept)) == "!600+900/30,!700+800/30,!800+700/30"
    assert to_asterisk(make(tone(600, on_ms=40, sweep={"to_hz": (800,)}))) == "!650/20,!750/20"


def test_no_step_is_endless() -> None:
    text = to_asterisk(make(tone(600, on_ms=10, sweep={"to_hz": (800,), "steps": 40})))
    assert "/0" not in text
    assert from_asterisk(text).duration_ms == 10


def test_a_string_longer_than_a_line_is_refused() -> None:
    with pytest.raises(ToneError, match="more than 8191 characters"):
        to_asterisk(make(tone(600, 700, on_ms=100, off_ms=100), repeat=500))


PLAIN = tone(600, on_ms=100, off_ms=20, ramp_ms=0)


def test_a_plain_tone_loses_only_its_level() -> None:
    assert losses(make(PLAIN)) == ("the level of -16 dBm0: Playtones plays each frequency at -10 dBm0",)


@pytest.mark.parametrize(
    ("segment", "says"),
    [
        (PLAIN | {"ramp_ms": 5}, "the ramps"),
        (PLAIN | {"modulation": {"rate_hz": 20, "depth": 0.9}}, "the depth"),
        (PLAIN | {"modulation": {"rate_hz": 20.5, "depth": PLAYTONES_DEPTH}}, "fractions of a hertz"),
        (PLAIN | {"frequencies_hz": (600.5,)}, "fractions of a hertz"),
        (PLAIN | {"on_ms": 110}, "the exact times"),
        (PLAIN | {"off_ms": 30}, "the exact times"),
    ],
)
def test_each_further_loss_is_reported(segment: dict[str, object], says: str) -> None:
    _level, loss = losses(make(segment))
    assert loss.startswith(says)


def test_fractions_of_a_millisecond_are_reported() -> None:
    assert "fractions of a millisecond: rounded" in losses(make(PLAIN | {"on_ms": 100.5}))


def test_levels_of_bursts_are_reported() -> None:
    lost = losses(make(PLAIN, PLAIN | {"level_dbm0": -20}))
    assert lost == ("the levels of -16, -20 dBm0: Playtones plays each frequency at -10 dBm0",)


def test_a_glide_is_reported() -> None:
    assert any(loss.startswith("the glide") for loss in losses(make(PLAIN | {"sweep": {"to_hz": (800,)}})))
