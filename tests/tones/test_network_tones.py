import pytest

from idtone.tones.network_tones import NETWORK_TONES, resemblances, resembled_tones
from lab.tones.profiles import make_profile, tone

RECOGNISED = [
    ([tone(400, on_ms=125, off_ms=125)], "Japanese dial"),
    ([tone(400, on_ms=500, off_ms=500)], "Japanese dial"),
    ([tone(400, on_ms=2, ramp_ms=0)], "Japanese dial"),
    ([tone(400, modulation={"rate_hz": 16, "depth": 0.9})], "Japanese dial"),
    ([tone(419)], "Japanese dial"),
    ([tone(440, on_ms=100, off_ms=100)], "Japanese call waiting"),
    ([tone(697, 1209, on_ms=50)], "DTMF"),
    ([tone(955, 1600, on_ms=50)], "DTMF"),
    ([tone(950), tone(1400), tone(1800)], "special information"),
    ([tone(1100)], "fax calling"),
    ([tone(2100)], "fax or modem"),
    ([tone(1650)], "modem (V.21)"),
    ([tone(700, 1700)], "MF signalling (R1)"),
    ([tone(1380, 1980)], "MF signalling (R2 forward)"),
    ([tone(540, 1140)], "MF signalling (R2 backward)"),
    ([tone(600), tone(600, 440)], "Japanese call waiting"),
    ([tone(1300)], "modem calling tone"),
    ([tone(2600)], "line signalling"),
    ([tone(470, modulation={"rate_hz": 30, "depth": 0.5})], "Japanese call waiting"),
    ([tone(600, on_ms=300, sweep={"to_hz": (300,)})], "Japanese dial"),
    ([tone(600, on_ms=300, sweep={"to_hz": (400,), "steps": 3})], "Japanese dial"),
    ([tone(600, 1100, on_ms=300, sweep={"to_hz": (900, 1400)})], "DTMF"),
]
NEIGHBOURS = [
    [tone(697)],
    [tone(697, 770)],
    [tone(697), tone(1209)],
    [tone(540)],
    [tone(539, 541)],
    [tone(379)],
    [tone(463)],
    [tone(470, modulation={"rate_hz": 30, "depth": 0.05})],
    [tone(600, on_ms=60, sweep={"to_hz": (300,)})],
    [tone(600, on_ms=300, sweep={"to_hz": (300,), "steps": 2})],
    [tone(500, on_ms=300, sweep={"to_hz": (850,)})],
]


@pytest.mark.parametrize(("segments", "name"), RECOGNISED)
def test_the_tones_of_the_network_are_recognised(segments, name):
    assert any(found.startswith(name) for found in resembled_tones(make_profile(*segments)))


@pytest.mark.parametrize("segments", NEIGHBOURS)
def test_half_a_signal_and_neighbouring_tones_are_not_recognised(segments):
    assert resembled_tones(make_profile(*segments)) == ()


def test_the_segment_is_named():
    profile = make_profile(tone(600), tone(), tone(400), tone(440), tone(410))
    assert [(index, network_tone.name[:14]) for index, network_tone in resemblances(profile)] == [
        (2, "Japanese dial,"),
        (4, "Japanese dial,"),
        (3, "Japanese call "),
    ]
    assert len(resembled_tones(profile)) == 2


def test_every_network_tone_is_found_by_its_own_frequencies():
    for network_tone in NETWORK_TONES:
        centres = [(low + high) / 2 for group in network_tone.groups for low, high in group[: network_tone.from_each]]
        assert network_tone.name in resembled_tones(make_profile(tone(*centres)))
