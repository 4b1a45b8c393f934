import pytest

from idtone.tones.showing.profile_drawing import draw_profile
from lab.tones.profiles import make_profile, recording, tone

ROWS = (
    make_profile(tone(600, on_ms=50, off_ms=20), tone(600, 1000.5, on_ms=30)),
    """\
 1000.5 Hz        ███
    600 Hz █████  ███
          0    100 ms""",
)
SWEEP = (
    make_profile(
        tone(600, on_ms=90, sweep={"to_hz": (1000,)}),
        tone(1000, on_ms=40, sweep={"to_hz": (600,), "steps": 2}),
        tone(700, on_ms=20, modulation={"rate_hz": 20, "depth": 1}),
    ),
    """\
   1000 Hz         ███
    950 Hz        █
    900 Hz       █
    850 Hz      █
    800 Hz     █
    750 Hz    █
    700 Hz   █          ▒▒
    650 Hz  █
    600 Hz █          ██
          0         150 ms""",
)
AN_HOUR = (
    make_profile(tone(600, on_ms=100, off_ms=100), tone(700, on_ms=100, off_ms=60), repeat=10_000),
    """\
    700 Hz                     ██████████
    600 Hz ██████████
          0                 360 ms, 10000 times""",
)
RECORDING = (
    recording(),
    """\
 recording ██████████
          0    100 ms""",
)


@pytest.mark.parametrize(
    ("profile", "drawing"), [ROWS, SWEEP, AN_HOUR, RECORDING], ids=["rows", "sweep", "repeated", "recording"]
)
def test_a_profile_is_drawn(profile, drawing):
    assert draw_profile(profile).rstrip("\n") == drawing


def test_a_long_sound_fits_and_a_short_burst_stays_visible():
    lines = draw_profile(
        make_profile(tone(600, on_ms=1, ramp_ms=0, off_ms=9_000), tone(700, on_ms=1, ramp_ms=0))
    ).splitlines()
    assert max(map(len, lines)) <= 72
    assert [line.count("█") for line in lines] == [1, 1, 0]
    many = [tone(*(300 + 8 * number + k for k in range(8)), on_ms=10) for number in range(64)]
    lines = draw_profile(make_profile(*many, level_dbm0=-20)).splitlines()
    assert len(lines) <= 25
    assert all("█" in line for line in lines[:-1])
