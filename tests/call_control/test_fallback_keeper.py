"""The fallback file: how it is written and replaced, and the numbers that are read from it."""

import fcntl
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone import dialplan
from idtone.call_control import fallback_conf
from idtone.call_control import fallback_keeper as module
from idtone.call_control.fallback_conf import UsableNumbers, read_remembered, text_for
from idtone.call_control.fallback_keeper import FallbackKeeper, write_durably
from idtone.core.calls import Suspension
from idtone.core.decision import Policy, Unlicensed
from idtone.core.errors import FallbackError
from idtone.core.number_spans import NumberSpan
from lab.call_control.memory_evidence import registry
from lab.call_control.unix_users import (
    ASTERISK_GROUP,
    SERVICE_GROUP,
    SERVICE_USER,
    acting_as,
    needs_root,
    shared_folder,
)

OWN = UsableNumbers(all=False, member="m-0001")
OWN_PATTERNS = {"813123456xx"}


def test_the_file_is_for_asterisks_group_only_and_is_replaced_atomically(tmp_path):
    """A process that has the old file open continues to read that file."""
    write_durably(tmp_path, "old\n" * 1000)
    path = tmp_path / dialplan.FALLBACK_FILE
    with path.open() as reader:
        assert reader.readline() == "old\n"
        write_durably(tmp_path, "new\n")
        assert reader.read() == "old\n" * 999
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o640, tmp_path.stat().st_gid)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_temporary_file(tmp_path, monkeypatch, step):
    write_durably(tmp_path, "old\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(FallbackError, match="No space left on device"):
        write_durably(tmp_path, "new\n")
    assert (tmp_path / dialplan.FALLBACK_FILE).read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == [dialplan.FALLBACK_FILE]


@pytest.mark.parametrize("place", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_an_error_with_its_remedy(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(FallbackError) as error:
        write_durably(tmp_path / place, "text\n")
    assert str(tmp_path / place) in str(error.value)
    assert "Allow the user that runs idtone to write to this folder" in str(error.value)


@needs_root
def test_a_service_outside_asterisks_group_needs_a_folder_that_hands_its_group_on():
    with shared_folder() as sounds:
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            write_durably(sounds, "old\n")
            write_durably(sounds, "new\n")
        path = sounds / dialplan.FALLBACK_FILE
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (SERVICE_USER, ASTERISK_GROUP, 0o640)
        path.unlink()
        sounds.chmod(0o750)
        with acting_as(SERVICE_USER, SERVICE_GROUP), pytest.raises(FallbackError, match=f"run: chmod g\\+s {sounds}"):
            write_durably(sounds, "text\n")
        assert list(sounds.iterdir()) == []


@pytest.fixture
def fallback(tmp_path) -> FallbackKeeper:
    return FallbackKeeper(tmp_path, OWN)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / dialplan.FALLBACK_FILE


def written(path: Path) -> tuple[int, int]:
    """Inode and time of the file, which change when the file is written again."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_each_registry_replaces_the_previous_one_and_is_written_once(fallback, path):
    """The suspensions of the last registry stay in the file while there is no registry."""
    assert fallback.trouble, "there is no file"
    assert fallback.update(registry())
    assert path.read_text() == text_for(registry(), OWN).text
    before = written(path)
    assert (fallback.update(registry()), fallback.update(None), written(path)) == (False, False, before)
    assert read_remembered(path.parent).suspended.keys() == {"81312345677"}
    latest = registry("")
    assert [fallback.has_suspensions_of(latest), fallback.update(latest)] == [False, True]
    assert fallback.has_suspensions_of(latest)
    assert read_remembered(path.parent).suspended == {}


DAMAGES = {
    "removed": Path.unlink,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "emptied": lambda path: os.truncate(path, 0),
    "changed": lambda path: path.write_text(path.read_text().replace("81312345677", "81312345678")),
    "unreadable": lambda path: path.chmod(0o600),
    "readable for all": lambda path: path.chmod(0o644),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_file_on_the_disk_is_looked_at_and_mended(fallback, path, caplog, damage):
    now = registry()
    fallback.update(now)
    damage(path)
    assert not fallback.has_suspensions_of(now)
    assert not fallback.is_made_of(now.origin)
    assert "Asterisk refuses every call" in fallback.trouble
    assert fallback.update(now)
    assert (fallback.has_suspensions_of(now), fallback.trouble) == (True, "")
    assert path.read_text() == text_for(now, OWN).text
    assert f"{path} was removed or changed by another program, and is written again" in caplog.messages


def test_a_folder_with_files_is_an_error(fallback, path):
    fallback.update(registry())
    path.unlink()
    path.mkdir()
    (path / "mine").touch()
    with pytest.raises(FallbackError, match="Is a directory"):
        fallback.update(registry())
    assert not fallback.has_suspensions_of(None)


def test_what_another_program_wrote_of_the_same_registry_stays(fallback, path, tmp_path, caplog):
    now = registry()
    fallback.update(now)
    path.unlink()
    FallbackKeeper(tmp_path, OWN).update(now)
    before = written(path)
    assert not fallback.update(now)
    assert fallback.has_suspensions_of(now)
    assert written(path) == before
    assert not caplog.messages


def test_an_older_registry_does_not_replace_a_newer_one(tmp_path, path):
    """The file of an older registry replaces only a missing or damaged file."""
    older, newer = registry("", 7), registry(version=8)
    slow = FallbackKeeper(tmp_path, OWN, lambda: False)
    FallbackKeeper(tmp_path, OWN).update(newer)
    assert not slow.update(older)
    assert path.read_text() == text_for(newer, OWN).text
    assert slow.trouble == ""
    path.unlink()
    assert slow.update(older)
    assert path.read_text() == text_for(older, OWN).text


def test_nobody_replaces_the_file_between_a_look_and_a_write(tmp_path, path, monkeypatch):
    """Any member of Asterisk's group can hold the lock.

    A process that holds it delays the file, but only for a limited time.
    """
    older, newer = registry("", 7), registry(version=8)
    written = threading.Thread(target=FallbackKeeper(tmp_path, OWN).update, args=(newer,))
    looked = threading.Event()

    def is_latest() -> bool:
        written.start()
        looked.set()
        written.join(0.2)
        return True

    FallbackKeeper(tmp_path, OWN).update(registry("", 6))
    FallbackKeeper(tmp_path, OWN, is_latest).update(older)
    written.join()
    assert looked.is_set()
    assert path.read_text() == text_for(newer, OWN).text, "the one that came later"
    monkeypatch.setattr(module, "LOCK_WITHIN_S", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert FallbackKeeper(tmp_path, OWN).update(older)
    os.close(descriptor)


def test_a_failed_write_is_tried_again_with_the_same_registry(tmp_path):
    fallback, now = FallbackKeeper(tmp_path / "sounds", OWN), registry()
    for _ in range(2):
        with pytest.raises(FallbackError) as error:
            fallback.update(now)
        assert fallback.trouble == str(error.value)
        assert "Asterisk connects numbers that were suspended after the last write" in fallback.trouble
    (tmp_path / "sounds").mkdir()
    fallback.update(now)
    assert fallback.trouble == ""
    assert read_remembered(tmp_path / "sounds").suspended.keys() == {"81312345677"}


def test_the_trouble_is_over_when_the_folder_is_back_with_the_same_file(tmp_path):
    fallback, now = FallbackKeeper(tmp_path / "sounds", OWN), registry()
    (tmp_path / "sounds").mkdir()
    fallback.update(now)
    (tmp_path / "sounds").rename(tmp_path / "away")
    with pytest.raises(FallbackError):
        fallback.update(now)
    (tmp_path / "away").rename(tmp_path / "sounds")
    fallback.update(now)
    assert (fallback.has_suspensions_of(now), fallback.trouble) == (True, "")


def test_what_does_not_fit_of_the_numbers_that_never_originate_is_named(fallback, tmp_path, monkeypatch, caplog):
    text = """\
never_originates:
  - {numbers: 031234568*, holder: 見本銀行, since: 2026-03-01T00:00:00Z, reference: R}
  - {number: "0335810110", holder: 見本警察署, since: 2026-03-01T00:00:00Z, reference: R}
"""
    fallback.update(registry("", 7, text))
    never = read_remembered(tmp_path).never_originating
    assert (set(never), fallback.trouble) == ({"8131234568x", "81335810110"}, "")
    monkeypatch.setattr(fallback_conf, "NEVER_LIMIT", 1)
    fallback.update(registry("", 8, text))
    assert list(read_remembered(tmp_path).never_originating) == ["8131234568x"]
    assert "Asterisk connects calls from those that are left out" in fallback.trouble
    assert fallback.trouble in caplog.text


def test_a_stock_that_needs_too_many_entries_is_left_out_and_named(fallback, tmp_path, monkeypatch, caplog):
    text = """{member: m-0001, since: 2026-03-01T00:00:00Z, reference: R},
              {numbers: 031234569*, since: 2026-03-01T00:00:00Z, reference: R}"""
    fallback.update(registry(text, 7))
    assert (list(read_remembered(tmp_path).suspended), fallback.trouble) == (["813123456xx"], "")
    monkeypatch.setattr(fallback_conf, "ENTRIES_LIMIT", 0)
    fallback.update(registry(text, 8))
    assert list(read_remembered(tmp_path).suspended) == ["8131234569x"]
    assert "Asterisk connects their calls" in fallback.trouble
    assert fallback.trouble in caplog.text
    monkeypatch.undo()
    fallback.update(registry(text, 9))
    assert fallback.trouble == ""


def test_own_numbers_that_need_too_many_entries_are_left_out_so_that_every_call_is_refused(
    fallback, tmp_path, monkeypatch, caplog
):
    fallback.update(registry(version=7))
    assert (read_remembered(tmp_path).own.keys(), fallback.trouble) == (OWN_PATTERNS, "")
    monkeypatch.setattr(fallback_conf, "ENTRIES_LIMIT", 0)
    fallback.update(registry("", 8))
    assert read_remembered(tmp_path).own == {}
    assert "refuses every call" in fallback.trouble
    assert fallback.trouble in caplog.text


NOTICE, REFUSE = Unlicensed.NOTICE, Unlicensed.REFUSE


@pytest.mark.parametrize(
    ("policy", "own"),
    [
        (Policy(member="m-0001"), OWN_PATTERNS),
        (Policy(member="m-9"), set()),
        (Policy(), OWN_PATTERNS | {"81399999999"}),
        (Policy(member="m-0001", foreign_numbers=NOTICE), OWN_PATTERNS | {"81399999999"}),
        (Policy(member="m-0001", unknown_numbers=NOTICE), OWN_PATTERNS),
        (Policy(member="m-0001", foreign_numbers=NOTICE, unknown_numbers=NOTICE), None),
    ],
)
def test_the_own_numbers_by_the_policy(tmp_path, policy, own):
    now = registry()
    fallback = FallbackKeeper(tmp_path, UsableNumbers.by_policy(policy, by_line=False))
    fallback.update(now)
    found = read_remembered(tmp_path).own
    assert (found if found is None else found.keys()) == own
    assert fallback.is_made_of(now.origin)
    assert not FallbackKeeper(tmp_path, UsableNumbers(all=False, member="m-8")).is_made_of(now.origin), (
        "the settings were changed"
    )


# -- the operator's own suspensions -----------------------------------------------------------------------------------


class Stops:
    """Stand-in for the numbers that `idtone suspend` has stopped."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.digest = " ".join(map(str, numbers))

    def spans(self) -> list[tuple[NumberSpan, Suspension]]:
        return [(NumberSpan(number, number), Suspension(datetime.fromtimestamp(0, UTC))) for number in self.numbers]


def test_the_operators_own_suspensions_are_in_the_file_with_and_without_a_registry(tmp_path, path):
    now, stops = registry(), Stops(81312345601, 81312345602)
    chosen = [Stops()]
    fallback = FallbackKeeper(tmp_path, OWN, stops=lambda: chosen[0])
    fallback.update(now)
    before = path.read_text()
    chosen[0] = stops
    assert (fallback.has_suspensions_of(now), fallback.is_made_of(now.origin)) == (False, False)
    assert fallback.update(now)
    assert (fallback.has_suspensions_of(now), fallback.is_made_of(now.origin), fallback.trouble) == (True, True, "")
    stopped = {"81312345601", "81312345602"}
    assert stopped <= read_remembered(tmp_path).suspended.keys()
    assert not fallback.update(now), "they are there"
    chosen[0] = Stops()
    assert fallback.update(now), "they are lifted"
    assert path.read_text() == before


def test_the_operators_own_suspensions_are_in_the_file_without_a_registry(tmp_path, path):
    now, stops = registry(), Stops(81312345601, 81312345602)
    stopped = {"81312345601", "81312345602"}
    FallbackKeeper(tmp_path, OWN).update(now)
    before = path.read_text()
    assert FallbackKeeper(tmp_path, OWN, stops=lambda: stops).update(None)
    kept = read_remembered(tmp_path)
    assert stopped <= kept.suspended.keys()
    write_durably(tmp_path, before)
    earlier = read_remembered(tmp_path)
    assert {**kept.suspended, **earlier.suspended}.keys() == kept.suspended.keys(), "nothing is taken out"
    assert (kept.own, kept.never_originating) == (earlier.own, earlier.never_originating)


def test_a_damaged_file_stays_while_there_is_no_registry(tmp_path, path):
    FallbackKeeper(tmp_path, OWN).update(registry())
    before, stops = path.read_text(), Stops(81312345601, 81312345602)
    write_durably(tmp_path, before[:-1])
    assert not FallbackKeeper(tmp_path, OWN, stops=lambda: stops).update(None), "Asterisk refuses every call then"
    assert path.read_text() == before[:-1]
