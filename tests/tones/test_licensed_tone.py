from __future__ import annotations

import pytest

from idtone.tones.licensed_tone import doubt
from idtone.tones.profile import build_profile

from .profiles import make, tone

RIGHT, WRONG = "a" * 64, "b" * 64
SYNTHESISED = make(tone(620))


def recording(sha256=RIGHT, standard=False):
    tree = {"id": "test", "title": "Test", "level_dbm0": -16, "standard": standard}
    return build_profile(tree | {"recording": "m.wav", "sha256": sha256, "trim": {"to_ms": 100}}, "test")


@pytest.mark.parametrize(
    ("profile", "named", "says"),
    [
        (SYNTHESISED, None, None),
        (SYNTHESISED, {}, None),
        (SYNTHESISED, {"other": RIGHT}, None),
        (SYNTHESISED, {"test": None}, None),
        (SYNTHESISED, {"test": RIGHT}, "it is synthesised, but the registry names a master"),
        (recording(), None, "there is no registry"),
        (recording(), {}, None),
        (recording(), {"test": None}, None),
        (recording(), {"test": RIGHT}, None),
        (recording(RIGHT.upper()), {"test": RIGHT}, None),
        (recording(WRONG), {"test": RIGHT}, "names another master"),
        (recording(standard=True), None, "there is no registry"),
        (recording(standard=True), {}, "is marked as the standard sound"),
        (recording(standard=True), {"other": RIGHT}, "is marked as the standard sound"),
        (recording(standard=True), {"test": None}, "is marked as the standard sound"),
        (recording(standard=True), {"test": RIGHT}, None),
        (recording(WRONG, standard=True), {"test": RIGHT}, "names another master"),
    ],
)
def test_profiles_for_a_licensed_sound(profile, named, says):
    reason = doubt(profile, named)
    assert reason is None if says is None else says in (reason or "")
