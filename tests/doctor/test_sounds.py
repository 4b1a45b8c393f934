"""The files beside the sounds, and who may read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from idtone.doctor import sounds
from idtone.doctor.findings import State
from idtone.doctor.sounds import Identity, Rights

PLACE = Path("/var/lib/asterisk/sounds/idtone")
GOOD = {PLACE / "notice.sln": b"1", PLACE / "notice.ulaw": b"2"}
ASTERISK = Identity(106, frozenset({112, 29}))
ROOT = Identity(0, frozenset())


@pytest.mark.parametrize(
    ("there", "state", "found"),
    [
        (GOOD, State.GOOD, "2 files"),
        (GOOD | {PLACE / "notice.sln": None}, State.BAD, f"missing: {PLACE}/notice.sln"),
        (GOOD | {PLACE / "notice.sln": b"1\0"}, State.BAD, f"not as the profile says: {PLACE}/notice.sln"),
        (GOOD | {PLACE / "notice.sln": b""}, State.BAD, f"not as the profile says: {PLACE}/notice.sln"),
        (GOOD | {PLACE / "notice.sln": b"", PLACE / "notice.ulaw": None}, State.BAD, "missing: "),
    ],
)
def test_the_files(there, state, found):
    finding = sounds.files(GOOD, there, serving=True)
    assert finding.state is state
    assert found in finding.found
    assert not finding.remedy or "systemctl restart idtone" in finding.remedy
    assert "systemctl start" in sounds.files(GOOD, dict.fromkeys(GOOD), serving=False).remedy


@pytest.mark.parametrize(
    ("mode", "user", "group", "who", "right", "allowed"),
    [
        (0o600, 106, 112, ASTERISK, 4, True),
        (0o040, 106, 112, ASTERISK, 4, False),  # the owner's bits alone count for the owner
        (0o640, 5, 112, ASTERISK, 4, True),
        (0o640, 5, 29, ASTERISK, 4, True),
        (0o604, 5, 112, ASTERISK, 4, False),
        (0o640, 5, 5, ASTERISK, 4, False),
        (0o644, 5, 5, ASTERISK, 4, True),
        (0o744, 5, 5, ASTERISK, 1, False),
        (0o751, 5, 5, ASTERISK, 1, True),
        (0o000, 5, 5, ROOT, 4, True),
    ],
)
def test_rights(mode, user, group, who, right, allowed):
    assert Rights(PLACE, mode, user, group).allow(who, right) is allowed


FOLDER = Rights(PLACE, 0o750, 5, 112)
FILE = Rights(PLACE / "notice.sln", 0o640, 5, 112)


@pytest.mark.parametrize(
    ("who", "folders", "held", "state", "found"),
    [
        (ASTERISK, [FOLDER], [FILE], State.GOOD, "user 106"),
        (ASTERISK, [FOLDER], [FILE, Rights(PLACE / "alone.conf", 0o600, 5, 112)], State.BAD, "alone.conf"),
        (ASTERISK, [Rights(PLACE, 0o700, 5, 112)], [FILE], State.BAD, str(PLACE)),
        (ASTERISK, [Rights(PLACE, 0o740, 5, 112)], [FILE], State.BAD, str(PLACE)),
        (ASTERISK, [Rights(PLACE, 0o710, 5, 112)], [FILE], State.GOOD, "user 106"),
        (ASTERISK, [Rights(PLACE, 0o700, 5, 112, listed=True)], [FILE], State.UNKNOWN, "access control lists"),
        (None, [FOLDER], [FILE], State.UNKNOWN, "process was not found"),
        (ROOT, [Rights(PLACE, 0o700, 5, 112)], [FILE], State.GOOD, "user 0"),
    ],
)
def test_what_asterisk_may_read(who, folders, held, state, found):
    finding = sounds.readable(who, folders, held)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("wanted", "text", "trouble", "state"),
    [
        ("a\n", "a\n", "", State.GOOD),
        ("a\n", "b\n", "", State.BAD),
        ("a\n", None, "", State.BAD),
        ("a\n", None, "Permission denied", State.UNKNOWN),
        (None, "a\n", "", State.UNKNOWN),
        (None, None, "", State.BAD),
    ],
)
def test_what_asterisk_knows_alone(wanted, text, trouble, state):
    assert sounds.alone(wanted, text, trouble, PLACE / "alone.conf").state is state
