import pytest

from idtone.tones.registered_profile_check import play_objection
from lab.tones.profiles import make_profile, recording, tone

RIGHT, WRONG = "a" * 64, "b" * 64
SYNTHESISED = make_profile(tone(620))


def recorded(sha256=RIGHT, standard=False):
    return recording(sha256=sha256, standard=standard)


@pytest.mark.parametrize(
    ("profile", "named", "says"),
    [
        (SYNTHESISED, None, None),
        (SYNTHESISED, {}, None),
        (SYNTHESISED, {"other": RIGHT}, None),
        (SYNTHESISED, {"test": None}, None),
        (SYNTHESISED, {"test": RIGHT}, "it is synthesised, but the registry names a master"),
        (recorded(), None, "there is no registry"),
        (recorded(), {}, None),
        (recorded(), {"test": None}, None),
        (recorded(), {"test": RIGHT}, None),
        (recorded(RIGHT.upper()), {"test": RIGHT}, None),
        (recorded(WRONG), {"test": RIGHT}, "names another master"),
        (recorded(standard=True), None, "there is no registry"),
        (recorded(standard=True), {}, "is marked as the standard sound"),
        (recorded(standard=True), {"other": RIGHT}, "is marked as the standard sound"),
        (recorded(standard=True), {"test": None}, "is marked as the standard sound"),
        (recorded(standard=True), {"test": RIGHT}, None),
        (recorded(WRONG, standard=True), {"test": RIGHT}, "names another master"),
    ],
)
def test_profiles_for_a_licensed_sound(profile, named, says):
    reason = play_objection(profile, named)
    assert reason is None if says is None else says in (reason or "")
