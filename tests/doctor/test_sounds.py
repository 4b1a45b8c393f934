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


LOG = PLACE / "unattended" / "calls"
LOG_FOLDER = Rights(LOG.parent, 0o710, 5, 112)


@pytest.mark.parametrize(
    ("who", "folder", "held", "left", "state", "found"),
    [
        (ASTERISK, LOG_FOLDER, Rights(LOG, 0o620, 5, 112), 1, State.GOOD, "user 106"),
        (ASTERISK, LOG_FOLDER, Rights(LOG, 0o640, 5, 112), 0, State.BAD, f"because of {LOG}"),
        (ASTERISK, Rights(LOG.parent, 0o700, 5, 112), Rights(LOG, 0o620, 5, 112), 0, State.BAD, f"of {LOG.parent}"),
        (ASTERISK, LOG_FOLDER, Rights(LOG, 0o622, 5, 112), 0, State.BAD, "open to all users"),
        (ASTERISK, LOG_FOLDER, Rights(LOG, 0o620, 5, 112), 2, State.BAD, "2 files"),
        (ASTERISK, LOG_FOLDER, Rights(LOG, 0o600, 5, 112, listed=True), 0, State.UNKNOWN, "access control lists"),
        (ASTERISK, LOG_FOLDER, None, 0, State.BAD, "is missing"),
        (None, LOG_FOLDER, Rights(LOG, 0o620, 5, 112), 0, State.UNKNOWN, "process was not found"),
        (ROOT, Rights(LOG.parent, 0o700, 5, 5), Rights(LOG, 0o600, 5, 5), 0, State.GOOD, "user 0"),
    ],
)
def test_where_asterisk_leaves_what_it_does_alone(who, folder, held, left, state, found):
    finding = sounds.writable(who, [FOLDER, folder], LOG, held, left)
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
