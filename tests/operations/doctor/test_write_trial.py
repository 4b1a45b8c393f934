"""The doctor's attempt to write a file where the service writes, and its remedies, run as printed."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from idtone.call_control.journal_reader import FILE_MODE, FOLDER_MODE
from idtone.dialplan import JOURNAL_FILE
from idtone.operations.doctor import observe_machine, shared_file_findings
from idtone.operations.doctor.findings import Finding, State
from idtone.operations.doctor.shared_file_checks import FALLBACK_MODE
from idtone.operations.doctor.shared_file_findings import JOURNAL_MODE, SOUNDS_MODE, Identity, PutTrial
from idtone.operations.doctor.write_trial import NotTriedError, Place, trial
from lab.forked_idtone import Forked
from lab.nightly_tests import rest_at_night
from lab.operations.doctor.other_user import run_as

SERVICE = Identity(54_321, frozenset({54_321, 54_329}), 54_321)
ASTERISK = 54_322
"""Asterisk's group. The service's user is not in it."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def beside() -> Iterator[Path]:
    """Folder of the sounds, whose parent folders all users can pass through."""
    with tempfile.TemporaryDirectory(prefix="idtone-trial-") as scratch:
        Path(scratch).chmod(0o755)
        (Path(scratch) / "sounds").mkdir()
        yield Path(scratch) / "sounds"


def own(folder: Path, user: int, group: int, mode: int) -> None:
    os.chown(folder, user, group)
    folder.chmod(mode)


def tried(folder: Path, mode: int = FALLBACK_MODE, who: Identity = SERVICE, process: int | None = None) -> int:
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    error = trial(Place(folder, mode, folder), who, process)
    assert {path.name for path in folder.iterdir()} == before if folder.is_dir() else True, "the trial leaves no file"
    return error


def test_a_trial_creates_a_file(beside):
    own(beside, SERVICE.user, ASTERISK, 0o750)
    assert tried(beside) == errno.EPERM, "the service cannot give the file to Asterisk's group"
    own(beside, SERVICE.user, ASTERISK, 0o2750)
    assert tried(beside) == 0
    own(beside, 0, ASTERISK, 0o2750)
    assert tried(beside) == errno.EACCES
    own(beside, 0, 54_329, 0o770)
    assert tried(beside) == 0, "through a group that is not the primary one"
    assert tried(beside / "none") == errno.ENOENT
    own(beside, 0, 0, 0o700)
    assert tried(beside, who=Identity(0, frozenset({0}), 0)) == 0


def test_a_folder_that_is_read_only_only_for_the_service(beside):
    """systemd makes a folder read-only for the service if ReadWritePaths does not name it."""
    own(beside, SERVICE.user, SERVICE.group, 0o755)
    commands = (
        f"mount --bind {beside} {beside} && mount -o remount,bind,ro {beside} && exec setpriv --reuid={SERVICE.user}"
    )
    commands += f" --regid={SERVICE.group} --clear-groups sh -c 'echo ready; exec cat'"
    service = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", commands], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with service:
        assert service.stdout
        if service.stdout.readline() != b"ready\n":
            pytest.skip("this machine lets nobody mount anything")
        assert tried(beside) == 0
        assert tried(beside, process=service.pid) == errno.EROFS
        service.communicate()


def test_the_services_user_tries_without_a_new_process(beside):
    own(beside, SERVICE.user, ASTERISK, 0o2750)
    answers = [
        child(beside, user, groups, f"print(trial(Place(beside, 0o640, beside), {SERVICE!r}))")
        for user, groups in ((SERVICE.user, [54_329]), (SERVICE.user, []), (54_330, [54_329]))
    ]
    assert [answer.splitlines()[-1].rpartition("NotTriedError: ")[2] for answer in answers] == [
        "0",
        "this user has other groups here than in the service",
        "this is not the service's user",
    ]


def test_a_process_that_has_gone_and_a_user_that_no_process_can_become(beside):
    gone = subprocess.Popen(["true"])
    gone.wait()
    own(beside, SERVICE.user, ASTERISK, 0o2750)
    assert tried(beside, process=gone.pid) == 0
    with pytest.raises(NotTriedError, match="no process could become the user 4294967295"):
        trial(Place(beside, FALLBACK_MODE, beside), Identity(2**32 - 1, frozenset({0}), 0))


# -- the remedies -------------------------------------------------------------------------------------------------


def look(folder: Path, beside: Path, topic: str, mode: int, file_mode: int, group: int | None) -> Finding:
    held = observe_machine.rights(folder) if folder.exists() else None
    error = trial(Place(folder, file_mode, beside), SERVICE) if held else None
    above = [observe_machine.rights(one) for one in observe_machine.folders_above(folder)]
    return shared_file_findings.put_access(
        topic, PutTrial(folder, above, held, error), SERVICE, f"{SERVICE.user}:{ASTERISK}", mode, group
    )


def both(beside: Path) -> list[Finding]:
    """The two findings on the service's right to write files: next to the sounds, and in the journal's folder."""
    first = look(beside, beside, "sounds-writable", SOUNDS_MODE, FALLBACK_MODE, None)
    group = ASTERISK if first.state is State.BAD else beside.stat().st_gid
    return [first, look(beside / "journal", beside, "journal-writable", JOURNAL_MODE, FILE_MODE, group)]


def follow(findings: list[Finding]) -> None:
    for finding in findings:
        if finding.remedy:
            subprocess.run(["sh", "-ec", finding.remedy], check=True)


def child(beside: Path, user: int, groups: list[int], code: str) -> str:
    """Output of Python code that another user runs, with `beside` and the product's modules."""
    log = beside.with_name("log")
    log.write_bytes(b"")
    Forked([], str(log), os.environ, partial(run_as, user, SERVICE.group, groups, beside, dedent(code))).wait(60)
    said = log.read_text()
    log.unlink()
    return said


def as_the_service(beside: Path, code: str) -> None:
    assert child(beside, SERVICE.user, sorted(SERVICE.groups), code) == ""


@rest_at_night(
    ("sounds", "journal"),
    [
        (None, None),  # no folder yet
        ((SERVICE.user, ASTERISK, 0o750), (0, 0, 0o700)),
        ((0, 0, 0o755), (SERVICE.user, SERVICE.group, FOLDER_MODE)),
        ((ASTERISK, ASTERISK, 0o750), None),
        ((0, ASTERISK, 0o2770), (SERVICE.user, SERVICE.group, FOLDER_MODE)),
    ],
)
def test_the_service_works_after_the_remedies(beside, sounds, journal):
    """After the remedies, the service can write suspensions for Asterisk and replace the journal."""
    if journal:
        (beside / "journal").mkdir()
        own(beside / "journal", *journal)
    if sounds:
        own(beside, *sounds)
    else:
        own(beside.parent, 0, 0, 0o700)
        beside.rmdir()
    found = both(beside)
    assert State.BAD in {finding.state for finding in found}
    follow(found)
    assert {finding.state for finding in both(beside)} == {State.GOOD}
    as_the_service(
        beside,
        """
        for text in "one", "two":
            fallback.write_durably(beside, text)
            journal.make()
            journal.path.write_text("a line")
            journal.replace()
            journal.make()
        """,
    )
    assert {finding.state for finding in both(beside)} == {State.GOOD}
    for path, mode in ((beside / "fallback.conf", FALLBACK_MODE), (beside / "journal" / JOURNAL_FILE, FILE_MODE)):
        assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (ASTERISK, mode)


READER = Identity(54_323, frozenset({ASTERISK}), ASTERISK)


def test_the_remedies_for_asterisk_do_not_lock_out_the_service(beside):
    """An earlier version gave Asterisk access but took it from the service."""
    own(beside.parent, SERVICE.user, SERVICE.group, 0o700)
    own(beside, SERVICE.user, SERVICE.group, 0o750)
    as_the_service(beside, "fallback.write_durably(beside, 'one'); journal.make()")
    path = beside / "journal" / JOURNAL_FILE

    def asterisks() -> list[Finding]:
        folders = [observe_machine.rights(folder) for folder in reversed(path.parents)]
        return [
            shared_file_findings.sound_access(
                READER, folders[:-1], [observe_machine.rights(beside / "fallback.conf")], str(ASTERISK)
            ),
            shared_file_findings.journal_access(
                READER, folders, path, observe_machine.rights(path), 0, str(ASTERISK), beside
            ),
        ]

    found = asterisks()
    assert {finding.state for finding in found} == {State.BAD}
    follow(found)
    assert {finding.state for finding in asterisks()} == {State.GOOD}
    read = ["setpriv", f"--reuid={READER.user}", f"--regid={ASTERISK}", "--clear-groups", "sh", "-ec"]
    subprocess.run([*read, f"cat {beside}/fallback.conf >/dev/null && echo a line >> {path}"], check=True, cwd="/")
    assert {finding.state for finding in both(beside)} == {State.GOOD}
    as_the_service(beside, "fallback.write_durably(beside, 'two'); journal.make(); journal.replace()")
    assert path.stat().st_gid == ASTERISK
