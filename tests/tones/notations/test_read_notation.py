from idtone.tones.notations.read_notation import ASTERISK_LEVEL_DBM0, from_notation

BRACKETS = "%(100,50,600)"
TGML = (BRACKETS, f"tone_stream://{BRACKETS}", f"d=100;w=50;{BRACKETS}", f" v=-7;{BRACKETS}", f"L=1;{BRACKETS}")
TONE_STRINGS = ("600/100,0/50", "!600/100,!0/50", "600/100|0/50", "!600+700/100,!0/50", "M72/100,0/50")


def test_settings_and_brackets_are_tgml_and_everything_else_is_a_tone_string():
    for text in (*TGML, *TONE_STRINGS):
        profile = from_notation(text, name="x", title="T")
        level_dbm0 = -7.01 if text in TGML else ASTERISK_LEVEL_DBM0
        assert (profile.id, profile.title, profile.level_dbm0) == ("x", "T", level_dbm0), text
        assert (profile.segments[0].on_ms, profile.segments[0].off_ms) == (100, 50), text
        assert from_notation(text, level_dbm0=-20).level_dbm0 == -20, text
    assert from_notation("5(100,50)").segments[0].frequencies_hz == (770, 1336)


def test_an_endless_sound_is_repeated_as_requested():
    for text in ("600/100,0/50", "%(100,50,600);loops=-1"):
        assert from_notation(text, repeat=3).repeat == 3, text
