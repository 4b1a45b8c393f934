"""Findings on the sound files, fallback.conf and the journal, and on the users who may read and write them."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.call_control.fallback_conf import End, render
from idtone.operations.doctor import shared_file_findings
from idtone.operations.doctor.shared_file_findings import JOURNAL_MODE, SOUNDS_MODE, Identity, PutTrial, Rights
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, check

PLACE = Path("/var/lib/asterisk/sounds/idtone")
LATEST, UPDATE = render([], None, End(12, "a")), "idtone registry update"
NOTICE, FALLBACK, JOURNAL = PLACE / "notice.sln", PLACE / "fallback.conf", PLACE / "journal" / "calls"
FILES = {NOTICE: b"1", PLACE / "notice.ulaw": b"2"}
ASTERISK = Identity(106, frozenset({112, 29}), 112)
SERVICE = Identity(107, frozenset({115}), 115)
BOTH_GROUPS = replace(SERVICE, groups=frozenset({112, 115}))
ROOT = Identity(0, frozenset())
FOLDER, FILE = Rights(PLACE, 0o750, 5, 112), Rights(NOTICE, 0o640, 5, 112)
CLOSED = Rights(PLACE, 0o700, 5, 112)
OWN = Rights(PLACE, 0o2750, 107, 112)
OWN_JOURNAL = Rights(PLACE / "journal", 0o2710, 107, 112)
ABOVE = [Rights(Path("/"), 0o755, 0, 0), Rights(PLACE.parent, 0o755, 0, 0)]
CHOWN = f"chown idtone:asterisk {PLACE} && chmod 2750 {PLACE}"
CHOWN_JOURNAL = f"chown idtone:asterisk {PLACE}/journal && chmod 2710 {PLACE}/journal"


def files(changes, serving=True, further=()):
    return shared_file_findings.sound_files(FILES, FILES | changes, serving, further)


def readable(who, folders, held):
    return shared_file_findings.sound_access(who, folders, held, "asterisk")


def journal_folder(mode=0o2710, user=5, group=112):
    return Rights(JOURNAL.parent, mode, user, group)


def journal(mode, user=5, group=112, listed=False):
    return Rights(JOURNAL, mode, user, group, listed)


def writable(who, folder, held, left=0):
    return shared_file_findings.journal_access(who, [FOLDER, folder], JOURNAL, held, left, "asterisk", PLACE)


def puttable(held, error, who=SERVICE, above=ABOVE):
    trial = PutTrial(PLACE, above, held, error, "this is another one")
    return shared_file_findings.put_access("sounds-writable", trial, who, "idtone:asterisk", SOUNDS_MODE)


def into_the_journal(held, who=SERVICE):
    trial = PutTrial(JOURNAL.parent, [OWN], held, 0)
    return shared_file_findings.put_access("journal-writable", trial, who, "idtone:asterisk", JOURNAL_MODE, 112)


def fallback(wanted, text, trouble=""):
    return shared_file_findings.fallback_file(wanted, text, trouble, FALLBACK)


TABLE = {
    files: [
        (({},), GOOD, "2 files"),
        (({NOTICE: None},), BAD, f"missing: {NOTICE}", "systemctl restart idtone"),
        (({NOTICE: b"1\0"},), BAD, f"not as the profile says: {NOTICE}", "systemctl restart idtone"),
        (({NOTICE: b""},), BAD, f"not as the profile says: {NOTICE}", "systemctl restart idtone"),
        (({NOTICE: b"", PLACE / "notice.ulaw": None},), BAD, "missing: ", "systemctl restart idtone"),
        ((dict.fromkeys(FILES), False), BAD, "missing: ", "systemctl start"),
        (({}, True, [PLACE / "notice.au", PLACE / "ja" / "notice.ulaw"]), BAD, f"{PLACE}/ja/notice.ulaw",
         f"rm {PLACE}/notice.au {PLACE}/ja/notice.ulaw"),
    ],
    # who reads, the folders above, the files
    readable: [
        ((ASTERISK, [FOLDER], [FILE]), GOOD, "user 106"),
        (
            (ASTERISK, [FOLDER], [FILE, Rights(FALLBACK, 0o600, 5, 5)]), BAD, "fallback.conf",
            f"find {PLACE} -maxdepth 1 -type f -exec chgrp asterisk {{}} + -exec chmod g+r {{}} +",
        ),
        ((ASTERISK, [CLOSED], [FILE]), BAD, str(PLACE)),
        ((ASTERISK, [replace(CLOSED, mode=0o740)], [FILE]), BAD, str(PLACE)),
        ((ASTERISK, [replace(CLOSED, mode=0o710)], [FILE]), GOOD, "user 106"),
        ((ASTERISK, [replace(CLOSED, listed=True)], [FILE]), UNKNOWN, "access control lists"),
        ((None, [FOLDER], [FILE]), UNKNOWN, "process was not found"),
        ((ROOT, [CLOSED], [FILE]), GOOD, "user 0"),
        # The remedy names only what Asterisk cannot read.
        (
            (ASTERISK, [Rights(PLACE.parent, 0o700, 0, 0), Rights(PLACE, 0o700, 5, 5)], [FILE]), BAD, str(PLACE),
            f"chmod o+x {PLACE.parent} && chgrp asterisk {PLACE} && chmod g+rxs {PLACE}",
        ),
    ],
    # who writes, the journal's folder, the journal, files that were left
    writable: [
        ((ASTERISK, journal_folder(), journal(0o620), 1), GOOD, "user 106"),
        ((ASTERISK, journal_folder(), journal(0o640)), BAD, f"because of {JOURNAL}"),
        ((ASTERISK, journal_folder(0o700), journal(0o620)), BAD, f"of {JOURNAL.parent}"),
        ((ASTERISK, journal_folder(), journal(0o622)), BAD, "all users can read or write"),
        ((ASTERISK, journal_folder(), journal(0o620), 2), BAD, "2 files"),
        ((ASTERISK, journal_folder(), journal(0o600, listed=True)), UNKNOWN, "access control lists"),
        ((ASTERISK, journal_folder(), None), BAD, "is missing"),
        ((None, journal_folder(), journal(0o620)), UNKNOWN, "process was not found"),
        ((ROOT, journal_folder(0o700, 5, 5), journal(0o600, 5, 5)), GOOD, "user 0"),
    ],
    # the folder, the error of the trial, who writes, the folders above
    puttable: [
        ((OWN, 0), GOOD, "can put files into"),
        ((OWN, errno.EPERM), BAD, "Operation not permitted", CHOWN),
        ((OWN, errno.EACCES), BAD, "Permission denied", CHOWN),
        ((OWN, errno.EROFS), BAD, "read-only", f"`ReadWritePaths={PLACE}`"),
        ((OWN, errno.ENOSPC), BAD, "No space left", "Free space"),
        ((OWN, None), UNKNOWN, "another one", "as root"),
        ((OWN, None, None), UNKNOWN),
        ((Rights(PLACE, 0o777, 0, 0), 0), GOOD, "can put files into"),
        ((None, None), BAD, "cannot create it", f"install -d -o idtone -g asterisk -m 2750 {PLACE}"),
        ((None, None, ROOT), GOOD),
        ((None, None, SERVICE, [Rights(PLACE.parent, 0o755, 107, 0)]), GOOD),
        (
            (OWN, errno.EACCES, SERVICE, [ABOVE[0], Rights(PLACE.parent, 0o750, 0, 0)]), BAD, "",
            f"chmod o+x {PLACE.parent} && {CHOWN}",
        ),
    ],
    into_the_journal: [
        ((OWN_JOURNAL,), GOOD),
        ((replace(OWN_JOURNAL, mode=0o700),), GOOD),  # the service sets the mode
        ((replace(OWN_JOURNAL, mode=0o700, user=5),), BAD, "mode is 0700", CHOWN_JOURNAL),
        ((replace(OWN_JOURNAL, group=115),), BAD, "group is 115", CHOWN_JOURNAL),
        ((replace(OWN_JOURNAL, group=115), BOTH_GROUPS), GOOD),
        ((replace(OWN_JOURNAL, group=115, user=5), BOTH_GROUPS), BAD, "group is 115", CHOWN_JOURNAL),
        ((replace(OWN_JOURNAL, group=5, user=5, mode=0), ROOT), GOOD),
    ],
    # what it should be, what it is, why it could not be read
    fallback: [
        ((LATEST, LATEST), GOOD),
        ((LATEST, render([], None, End(11, "c"))), BAD, "is of version 11 of the registry, which is at", UPDATE),
        ((LATEST, render([], None, End(12, "b"))), BAD, "differs from the registry", UPDATE),
        ((LATEST, render([], None, End(13, "a"))), BAD, "differs from the registry", UPDATE),
        ((LATEST, LATEST[:-1]), BAD, "is cut or was changed", UPDATE),
        ((LATEST, ""), BAD, "is cut or was changed", UPDATE),
        ((LATEST, None), BAD, "is missing", UPDATE),
        ((LATEST, None, "Permission denied"), UNKNOWN),
        ((None, LATEST), UNKNOWN),
        ((None, LATEST[:-1]), BAD, "is cut or was changed", UPDATE),
        ((None, None), BAD, "is missing", UPDATE),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])


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


def test_the_group_by_which_asterisk_reads():
    for who, folder, group in (
        (None, FOLDER, None),
        (ASTERISK, FOLDER, 112),
        (ASTERISK, replace(FOLDER, group=29), 29),
        (ASTERISK, replace(FOLDER, group=5), 112),
        (ASTERISK, None, 112),
    ):
        assert shared_file_findings.group_for(who, folder) == group, (who, folder)
