"""The fallback file: its text, how it is written, and when."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone import dialplan
from idtone.call_control.fallback_file import Fallback, leave, remembered, render
from idtone.calls import Direction, Party, Suspension
from idtone.decision import Policy, Unlicensed
from idtone.errors import FallbackError
from idtone.numbers import Number, NumberKind, parse

from .evidence import registry
from .unix_users import ASTERISK_GROUP, SERVICE_GROUP, SERVICE_USER, acting_as, needs_root, shared_folder

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SUSPENSION = Suspension(parse("0312345677"), SINCE, "R-1")

instants = st.integers(1, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
numbers = st.from_regex(r"\A\+81[1-9][0-9]{8,9}\Z").map(lambda e164: Number(NumberKind.FIXED, e164))


def test_the_text():
    """Without the police's reference, and for the same suspensions in any order the same."""
    notify = {Direction.INCOMING: frozenset(Party), Direction.OUTGOING: frozenset({Party.CALLER})}
    policy = Policy(refuse_cause=38, notify=notify)
    # A fraction of a second suspends earlier rather than later.
    other = Suspension(parse("0612345677"), SINCE + timedelta(milliseconds=999), "R-2")
    for suspensions in ([SUSPENSION, other], [other, SUSPENSION]):
        assert render(suspensions, policy, Unlicensed.REFUSE, answer_first=True).splitlines()[1:] == [
            "[policy]",
            "fallback = refuse",
            "refuse_cause = 38",
            "incoming = both",
            "outgoing = caller",
            "answer_first = yes",
            "[suspended]",
            f"81312345677 = {int(SINCE.timestamp())}",
            f"81612345677 = {int(SINCE.timestamp())}",
        ]
    text = render([], Policy(), Unlicensed.NOTICE)
    assert re.findall(r"^\[(\w+)\]$", text, re.M) == [dialplan.FALLBACK_POLICY, dialplan.FALLBACK_SUSPENDED]
    assert text.endswith("\n")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(numbers, instants, max_size=20))
def test_what_is_written_is_read_again(tmp_path, since):
    text = render((Suspension(number, at, "R") for number, at in since.items()), Policy(), Unlicensed.NOTICE)
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 80
    leave(tmp_path, text)
    assert remembered(tmp_path) == {number.e164: at for number, at in since.items()}


def test_the_file_is_for_asterisks_group_only(tmp_path):
    leave(tmp_path, "text\n")
    (path,) = tmp_path.iterdir()
    status = path.stat()
    assert path.name == dialplan.FALLBACK_FILE
    assert path.read_text() == "text\n"
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_gid == tmp_path.stat().st_gid


def test_the_file_is_replaced_atomically(tmp_path):
    """A process that has the old file open continues to read the old one."""
    leave(tmp_path, "old\n" * 1000)
    with (tmp_path / dialplan.FALLBACK_FILE).open() as reader:
        assert reader.readline() == "old\n"
        leave(tmp_path, "new\n")
        assert reader.read() == "old\n" * 999
    assert (tmp_path / dialplan.FALLBACK_FILE).read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == [dialplan.FALLBACK_FILE]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_temporary_file(tmp_path, monkeypatch, step):
    leave(tmp_path, "old\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(FallbackError, match="No space left on device"):
        leave(tmp_path, "new\n")
    assert (tmp_path / dialplan.FALLBACK_FILE).read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == [dialplan.FALLBACK_FILE]


@pytest.mark.parametrize("place", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_an_error_with_its_remedy(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(FallbackError) as error:
        leave(tmp_path / place, "text\n")
    assert str(tmp_path / place) in str(error.value)
    assert "Allow the user that runs idtone to write to this folder" in str(error.value)


def test_without_a_file_nothing_is_remembered(tmp_path):
    assert remembered(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["", "[policy]\n", "[suspended]\n8131 = soon\n", "no section", "[suspended]\n\xff = 1\n"]
)
def test_a_file_of_another_format_is_an_error_with_its_remedy(tmp_path, text):
    (tmp_path / dialplan.FALLBACK_FILE).write_text(text, "latin-1")
    with pytest.raises(FallbackError, match="make the registry available"):
        remembered(tmp_path)


@needs_root
def test_a_service_outside_asterisks_group_writes_it_into_a_folder_that_hands_its_group_on():
    with shared_folder() as sounds:
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            leave(sounds, "old\n")
            leave(sounds, "new\n")
        status = (sounds / dialplan.FALLBACK_FILE).stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (SERVICE_USER, ASTERISK_GROUP, 0o640)


@needs_root
def test_without_the_folders_group_the_file_is_not_written_and_the_remedy_is_named():
    with shared_folder() as sounds:
        sounds.chmod(0o750)
        with acting_as(SERVICE_USER, SERVICE_GROUP), pytest.raises(FallbackError, match=f"run: chmod g\\+s {sounds}"):
            leave(sounds, "text\n")
        assert list(sounds.iterdir()) == []


@pytest.fixture
def fallback(tmp_path) -> Fallback:
    return Fallback(tmp_path, Policy(refuse_cause=38), Unlicensed.REFUSE, answer_first=True)


def test_each_registry_replaces_the_previous_one_and_is_written_once(fallback, tmp_path):
    """Without a registry the suspensions of the last one stay."""
    path = tmp_path / dialplan.FALLBACK_FILE
    fallback.update(registry())
    expected = render(registry().suspensions(), Policy(refuse_cause=38), Unlicensed.REFUSE, answer_first=True)
    assert path.read_text() == expected
    before = path.stat()
    fallback.update(registry())
    fallback.update(None)
    assert path.stat() == before
    assert remembered(tmp_path).keys() == {"+81312345677"}
    fallback.update(registry(""))
    assert remembered(tmp_path) == {}


def test_a_failed_write_is_tried_again_with_the_same_registry(tmp_path):
    fallback = Fallback(tmp_path / "sounds", Policy(), Unlicensed.NOTICE, answer_first=False)
    for _ in range(2):
        with pytest.raises(FallbackError) as error:
            fallback.update(registry())
        assert fallback.trouble == str(error.value)
        assert "Asterisk connects numbers that were suspended after the last write" in fallback.trouble
    (tmp_path / "sounds").mkdir()
    fallback.update(registry())
    assert fallback.trouble == ""
    assert remembered(tmp_path / "sounds").keys() == {"+81312345677"}
