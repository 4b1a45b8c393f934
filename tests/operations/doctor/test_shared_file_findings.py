"""The sound files, fallback.conf and the journal, and who may read and write them → findings."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.operations.doctor import shared_file_findings
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.shared_file_findings import Identity, Rights, Trial

PLACE = Path("/var/lib/asterisk/sounds/idtone")
GOOD = {PLACE / "notice.sln": b"1", PLACE / "notice.ulaw": b"2"}
ASTERISK = Identity(106, frozenset({112, 29}), 112)
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
    finding = shared_file_findings.files(GOOD, there, serving=True)
    assert finding.state is state
    assert found in finding.found
    assert not finding.remedy or "systemctl restart idtone" in finding.remedy
    assert "systemctl start" in shared_file_findings.files(GOOD, dict.fromkeys(GOOD), serving=False).remedy


@pytest.mark.parametrize(
    ("mode", "user", "group", "who", "right", "allowed"),
    [
        (0o600, 106, 112, ASTERISK, 4, True),
        (0o040, 106, 112, ASTERISK, 4, False),  # only the owner's bits count for the owner
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
FALLBACK = PLACE / "fallback.conf"


@pytest.mark.parametrize(
    ("who", "folders", "held", "state", "found"),
    [
        (ASTERISK, [FOLDER], [FILE], State.GOOD, "user 106"),
        (ASTERISK, [FOLDER], [FILE, Rights(FALLBACK, 0o600, 5, 112)], State.BAD, "fallback.conf"),
        (ASTERISK, [Rights(PLACE, 0o700, 5, 112)], [FILE], State.BAD, str(PLACE)),
        (ASTERISK, [Rights(PLACE, 0o740, 5, 112)], [FILE], State.BAD, str(PLACE)),
        (ASTERISK, [Rights(PLACE, 0o710, 5, 112)], [FILE], State.GOOD, "user 106"),
        (ASTERISK, [Rights(PLACE, 0o700, 5, 112, listed=True)], [FILE], State.UNKNOWN, "access control lists"),
        (None, [FOLDER], [FILE], State.UNKNOWN, "process was not found"),
        (ROOT, [Rights(PLACE, 0o700, 5, 112)], [FILE], State.GOOD, "user 0"),
    ],
)
def test_what_asterisk_may_read(who, folders, held, state, found):
    finding = shared_file_findings.readable(who, folders, held, "asterisk")
    assert finding.state is state
    assert found in finding.found


def test_the_remedy_names_only_what_asterisk_cannot_read():
    closed = Rights(PLACE.parent, 0o700, 0, 0)
    finding = shared_file_findings.readable(ASTERISK, [closed, Rights(PLACE, 0o700, 5, 5)], [FILE], "asterisk")
    assert finding.remedy == f"chmod o+x {PLACE.parent} && chgrp asterisk {PLACE} && chmod g+rxs {PLACE}"
    finding = shared_file_findings.readable(ASTERISK, [FOLDER], [Rights(FALLBACK, 0o600, 5, 5)], "asterisk")
    assert finding.remedy == f"find {PLACE} -maxdepth 1 -type f -exec chgrp asterisk {{}} + -exec chmod g+r {{}} +"


@pytest.mark.parametrize(
    ("who", "folder", "group"),
    [
        (None, FOLDER, None),
        (ASTERISK, FOLDER, 112),
        (ASTERISK, Rights(PLACE, 0o750, 5, 29), 29),
        (ASTERISK, Rights(PLACE, 0o750, 5, 5), 112),
        (ASTERISK, None, 112),
    ],
)
def test_the_group_by_which_asterisk_reads(who, folder, group):
    assert shared_file_findings.group_for(who, folder) == group


JOURNAL = PLACE / "journal" / "calls"
JOURNAL_FOLDER = Rights(JOURNAL.parent, 0o2710, 5, 112)


@pytest.mark.parametrize(
    ("who", "folder", "held", "left", "state", "found"),
    [
        (ASTERISK, JOURNAL_FOLDER, Rights(JOURNAL, 0o620, 5, 112), 1, State.GOOD, "user 106"),
        (ASTERISK, JOURNAL_FOLDER, Rights(JOURNAL, 0o640, 5, 112), 0, State.BAD, f"because of {JOURNAL}"),
        (
            ASTERISK,
            Rights(JOURNAL.parent, 0o700, 5, 112),
            Rights(JOURNAL, 0o620, 5, 112),
            0,
            State.BAD,
            f"of {JOURNAL.parent}",
        ),
        (ASTERISK, JOURNAL_FOLDER, Rights(JOURNAL, 0o622, 5, 112), 0, State.BAD, "all users can read or write"),
        (ASTERISK, JOURNAL_FOLDER, Rights(JOURNAL, 0o620, 5, 112), 2, State.BAD, "2 files"),
        (
            ASTERISK,
            JOURNAL_FOLDER,
            Rights(JOURNAL, 0o600, 5, 112, listed=True),
            0,
            State.UNKNOWN,
            "access control lists",
        ),
        (ASTERISK, JOURNAL_FOLDER, None, 0, State.BAD, "is missing"),
        (None, JOURNAL_FOLDER, Rights(JOURNAL, 0o620, 5, 112), 0, State.UNKNOWN, "process was not found"),
        (ROOT, Rights(JOURNAL.parent, 0o700, 5, 5), Rights(JOURNAL, 0o600, 5, 5), 0, State.GOOD, "user 0"),
    ],
)
def test_the_journal(who, folder, held, left, state, found):
    finding = shared_file_findings.writable(who, [FOLDER, folder], JOURNAL, held, left, "asterisk", PLACE)
    assert finding.state is state
    assert found in finding.found


SERVICE = Identity(107, frozenset({115}), 115)
OWN = Rights(PLACE, 0o2750, 107, 112)
JOURNAL_OWN = Rights(PLACE / "journal", 0o2710, 107, 112)
ABOVE = [Rights(Path("/"), 0o755, 0, 0), Rights(PLACE.parent, 0o755, 0, 0)]
CHOWN = f"chown idtone:asterisk {PLACE} && chmod 2750 {PLACE}"


def puttable(held, error, who=SERVICE, above=ABOVE, why=""):
    trial = Trial(PLACE, above, held, error, why)
    return shared_file_findings.puttable(
        "sounds-writable", trial, who, "idtone:asterisk", shared_file_findings.SOUNDS_MODE
    )


@pytest.mark.parametrize(
    ("held", "error", "state", "found", "remedy"),
    [
        (OWN, 0, State.GOOD, "can put files into", ""),
        (OWN, errno.EPERM, State.BAD, "Operation not permitted", CHOWN),
        (OWN, errno.EACCES, State.BAD, "Permission denied", CHOWN),
        (OWN, errno.EROFS, State.BAD, "read-only", f"`ReadWritePaths={PLACE}`"),
        (OWN, errno.ENOSPC, State.BAD, "No space left", "Free space"),
        (OWN, None, State.UNKNOWN, "another one", "as root"),
        (Rights(PLACE, 0o777, 0, 0), 0, State.GOOD, "can put files into", ""),
        (None, None, State.BAD, "cannot create it", f"install -d -o idtone -g asterisk -m 2750 {PLACE}"),
    ],
)
def test_whether_the_service_can_put_files_there(held, error, state, found, remedy):
    finding = puttable(held, error, why="this is another one")
    assert finding.state is state
    assert found in finding.found
    assert remedy in finding.remedy


def test_a_missing_folder_that_the_service_can_create():
    assert puttable(None, None, above=[Rights(PLACE.parent, 0o755, 107, 0)]).state is State.GOOD
    assert puttable(None, None, who=ROOT).state is State.GOOD


def test_a_service_that_cannot_reach_the_folder():
    closed = [ABOVE[0], Rights(PLACE.parent, 0o750, 0, 0)]
    assert puttable(OWN, errno.EACCES, above=closed).remedy == f"chmod o+x {PLACE.parent} && {CHOWN}"


def test_a_service_whose_user_is_not_known():
    assert puttable(OWN, None, who=None).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("held", "who", "found"),
    [
        (JOURNAL_OWN, SERVICE, ""),
        (replace(JOURNAL_OWN, mode=0o700), SERVICE, ""),  # the service sets the mode
        (replace(JOURNAL_OWN, mode=0o700, user=5), SERVICE, "mode is 0700"),
        (replace(JOURNAL_OWN, group=115), SERVICE, "group is 115"),
        (replace(JOURNAL_OWN, group=115), replace(SERVICE, groups=frozenset({112, 115})), ""),
        (replace(JOURNAL_OWN, group=115, user=5), replace(SERVICE, groups=frozenset({112, 115})), "group is 115"),
        (replace(JOURNAL_OWN, group=5, user=5, mode=0), ROOT, ""),
    ],
)
def test_the_journals_folder_needs_its_group_and_mode(held, who, found):
    trial = Trial(JOURNAL.parent, [OWN], held, 0)
    finding = shared_file_findings.puttable(
        "journal-writable", trial, who, "idtone:asterisk", shared_file_findings.JOURNAL_MODE, 112
    )
    assert finding.state is (State.BAD if found else State.GOOD)
    assert found in finding.found
    if found:
        assert finding.remedy == f"chown idtone:asterisk {JOURNAL.parent} && chmod 2710 {JOURNAL.parent}"


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
def test_fallback_conf(wanted, text, trouble, state):
    assert shared_file_findings.fallback(wanted, text, trouble, FALLBACK).state is state
