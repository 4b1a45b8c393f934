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
from idtone.call_control import fallback_file
from idtone.call_control.fallback_file import Fallback, leave, remembered, render
from idtone.calls import Direction, Party, Suspension
from idtone.decision import Policy, Unlicensed
from idtone.decision import suspended as stopped_at
from idtone.errors import FallbackError
from idtone.number_spans import NumberSpan
from idtone.numbers import Number, NumberKind
from idtone.registry.number_notation import read_span

from .evidence import registry
from .unix_users import ASTERISK_GROUP, SERVICE_GROUP, SERVICE_USER, acting_as, needs_root, shared_folder

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = read_span("0312345677")

START, DAY = int(SINCE.timestamp()), timedelta(days=1)

instants = st.integers(1, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_the_text():
    """Without the police's references."""
    notify = {Direction.INCOMING: frozenset(Party), Direction.OUTGOING: frozenset({Party.CALLER})}
    policy = Policy(refuse_cause=38, notify=notify)
    suspended = [(SPAN, Suspension(SINCE, reference="R-1")), (read_span("0612345*"), Suspension(SINCE, SINCE + DAY))]
    assert render(suspended, policy, Unlicensed.REFUSE, answer_first=True).splitlines()[1:] == [
        "[policy]",
        "fallback = refuse",
        "refuse_cause = 38",
        "incoming = both",
        "outgoing = caller",
        "answer_first = yes",
        "[suspended]",
        f"81312345677 = {START}",
        f"81612345xxx = {START}:{START + 86_400}",
    ]
    text = render([], Policy(), Unlicensed.NOTICE)
    assert re.findall(r"^\[(\w+)\]$", text, re.M) == [dialplan.FALLBACK_POLICY, dialplan.FALLBACK_SUSPENDED]
    assert text.endswith("\n")


@pytest.mark.parametrize(
    ("entries", "written"),
    [
        ([("0312345600-0312345699", 0, None)], {"813123456xx": "0"}),
        ([(f"031234560{n}", 0, None) for n in range(10)], {"8131234560x": "0"}),
        (
            [("0312345598-0312345610", 0, 9)],
            {"81312345598": "0:9", "81312345599": "0:9", "8131234560x": "0:9", "81312345610": "0:9"},
        ),
        ([("0312345677", 0, 5), ("0312345677", 7, None)], {"81312345677": "0:5/7"}),
        ([("0312345677", 0, 5), ("0312345677", 3, 9)], {"81312345677": "0:9"}),
        ([("031234567*", 0, 5), ("0312345670-0312345678", 3, 9), ("0312345679", 1, 9)], {"8131234567x": "0:9"}),
        ([("0312345677", 0.9, 4.1)], {"81312345677": "0:5"}),
        ([("0312345677", -10**9, 5)], {"81312345677": "0:5"}),
    ],
    ids=["a range", "neighbours", "an odd range", "twice", "overlapping", "nested", "fractions", "before 1970"],
)  # fmt: skip
def test_the_fewest_entries_with_their_times(entries, written):
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)

    placed = [(read_span(text), Suspension(at(since) or SINCE, at(until))) for text, since, until in entries]
    placed.sort(key=lambda each: each[0].first)
    lines = render(placed, Policy(), Unlicensed.NOTICE).partition("[suspended]\n")[2].splitlines()
    assert dict(line.split(" = ") for line in lines) == written


periods = st.tuples(instants, st.none() | st.integers(1, 10**8).map(lambda seconds: timedelta(seconds=seconds)))
spans = st.tuples(st.integers(81312345000, 81312345999), st.integers(0, 120)).map(
    lambda pair: NumberSpan(pair[0], pair[0] + pair[1])
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(spans, periods), max_size=8), st.integers(81312344990, 81312346130), instants)
def test_what_is_written_and_read_again_suspends_the_same_numbers_at_the_same_times(tmp_path, suspended, number, other):
    placed = [(span, Suspension(since, None if lasts is None else since + lasts)) for span, (since, lasts) in suspended]
    text = render(sorted(placed, key=lambda each: each[0].first), Policy(), Unlicensed.NOTICE)
    assert text.isascii()
    leave(tmp_path, text)
    moments = [other, *(at for _, each in placed for at in (each.since, each.until) if at)]
    for now in moments:
        found = stopped_at([Number(NumberKind.FIXED, f"+{number}")], None, now, remembered(tmp_path))
        assert bool(found) == any(number in span and each.in_force(now) for span, each in placed)


def test_the_file_is_for_asterisks_group_only_and_is_replaced_atomically(tmp_path):
    """A process that has the old file open continues to read the old one."""
    assert remembered(tmp_path) == {}
    leave(tmp_path, "old\n" * 1000)
    path = tmp_path / dialplan.FALLBACK_FILE
    with path.open() as reader:
        assert reader.readline() == "old\n"
        leave(tmp_path, "new\n")
        assert reader.read() == "old\n" * 999
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o640, tmp_path.stat().st_gid)


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


@pytest.mark.parametrize(
    "text", ["", "[policy]\n", "[suspended]\n8131 = soon\n", "no section", "[suspended]\n\xff = 1\n"]
)
def test_a_file_of_another_format_is_an_error_with_its_remedy(tmp_path, text):
    (tmp_path / dialplan.FALLBACK_FILE).write_text(text, "latin-1")
    with pytest.raises(FallbackError, match="make the registry available"):
        remembered(tmp_path)


@needs_root
def test_a_service_outside_asterisks_group_needs_a_folder_that_hands_its_group_on():
    with shared_folder() as sounds:
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            leave(sounds, "old\n")
            leave(sounds, "new\n")
        path = sounds / dialplan.FALLBACK_FILE
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (SERVICE_USER, ASTERISK_GROUP, 0o640)
        path.unlink()
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
    expected = render(registry().suspended_spans(), Policy(refuse_cause=38), Unlicensed.REFUSE, answer_first=True)
    assert path.read_text() == expected
    before = path.stat()
    fallback.update(registry())
    fallback.update(None)
    assert path.stat() == before
    assert remembered(tmp_path).keys() == {"81312345677"}
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
    assert remembered(tmp_path / "sounds").keys() == {"81312345677"}


def test_a_stock_that_needs_too_many_entries_is_left_out_and_named(fallback, tmp_path, monkeypatch, caplog):
    text = """{member: m-0001, since: 2026-03-01T00:00:00Z, reference: R},
              {numbers: 031234569*, since: 2026-03-01T00:00:00Z, reference: R}"""
    fallback.update(registry(text, 7))
    assert (list(remembered(tmp_path)), fallback.trouble) == (["813123456xx"], "")
    monkeypatch.setattr(fallback_file, "ENTRIES_LIMIT", 0)
    fallback.update(registry(text, 8))
    assert list(remembered(tmp_path)) == ["8131234569x"]
    assert "Asterisk connects their calls" in fallback.trouble
    assert fallback.trouble in caplog.text
