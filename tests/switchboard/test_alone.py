"""What the service leaves with Asterisk: its text, and how it gets to its place."""

from __future__ import annotations

import configparser
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone import dialplan
from idtone.calls import Direction, Party, Suspension
from idtone.decision import Policy, Unlicensed
from idtone.errors import ToneError
from idtone.numbers import Number, NumberKind, parse
from idtone.switchboard.alone import leave, remembered, render

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
SUSPENSION = Suspension(parse("0312345677"), SINCE, "R-1")

instants = st.integers(1, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
numbers = st.from_regex(r"\A\+81[1-9][0-9]{8,9}\Z").map(lambda e164: Number(NumberKind.FIXED, e164))


def read(text: str) -> configparser.ConfigParser:
    """Of Asterisk's configuration syntax the file keeps to the part that every reader of INI files shares."""
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=(";",), interpolation=None, strict=True, default_section="nothing"
    )
    parser.read_string(text)
    return parser


def test_the_text():
    notify = {Direction.INCOMING: frozenset(Party), Direction.OUTGOING: frozenset({Party.CALLER})}
    policy = Policy(refuse_cause=38, notify=notify)
    assert render([SUSPENSION], policy, Unlicensed.REFUSE, answer_first=True).splitlines()[1:] == [
        "[policy]",
        "service_away = refuse",
        "refuse_cause = 38",
        "incoming = both",
        "outgoing = caller",
        "answer_first = yes",
        "[suspended]",
        f"81312345677 = {int(SINCE.timestamp())}",
    ]


def test_without_suspensions_the_sections_are_there():
    text = render([], Policy(), Unlicensed.NOTICE)
    assert read(text).sections() == [dialplan.ALONE_POLICY, dialplan.ALONE_SUSPENDED]
    assert text.endswith("\n")


def test_the_reference_of_the_police_is_not_told():
    assert "R-1" not in render([SUSPENSION], Policy(), Unlicensed.NOTICE)


def test_a_fraction_of_a_second_suspends_earlier_rather_than_later():
    later = Suspension(SUSPENSION.number, SINCE + timedelta(milliseconds=999), "R-1")
    assert render([later], Policy(), Unlicensed.NOTICE) == render([SUSPENSION], Policy(), Unlicensed.NOTICE)


@settings(max_examples=50)
@given(
    since=st.dictionaries(numbers, instants, max_size=20),
    cause=st.integers(1, 127),
    away=st.sampled_from(Unlicensed),
)
def test_what_is_written_is_read_again(since, cause, away):
    text = render((Suspension(number, at, "R") for number, at in since.items()), Policy(refuse_cause=cause), away)
    parser = read(text)
    assert parser.getint(dialplan.ALONE_POLICY, "refuse_cause") == cause
    assert Unlicensed(parser.get(dialplan.ALONE_POLICY, "service_away")) is away
    assert {f"+{digits}": int(at) for digits, at in parser.items(dialplan.ALONE_SUSPENDED)} == {
        number.e164: int(at.timestamp()) for number, at in since.items()
    }
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 80


def test_the_order_of_the_registry_does_not_change_the_text():
    other = Suspension(parse("0612345677"), SINCE, "R-2")
    there, back = ([SUSPENSION, other], [other, SUSPENSION])
    assert render(there, Policy(), Unlicensed.NOTICE) == render(back, Policy(), Unlicensed.NOTICE)


def test_the_file_is_for_asterisks_group_only(tmp_path):
    leave(tmp_path, "text\n")
    (path,) = tmp_path.iterdir()
    status = path.stat()
    assert path.name == dialplan.ALONE_FILE
    assert path.read_text() == "text\n"
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_gid == tmp_path.stat().st_gid


def test_it_is_replaced_in_one_step(tmp_path):
    """Who opened the old file goes on reading the old one, whole."""
    leave(tmp_path, "old\n" * 1000)
    with (tmp_path / dialplan.ALONE_FILE).open() as reader:
        assert reader.readline() == "old\n"
        leave(tmp_path, "new\n")
        assert reader.read() == "old\n" * 999
    assert (tmp_path / dialplan.ALONE_FILE).read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == [dialplan.ALONE_FILE]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch, step):
    leave(tmp_path, "old\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ToneError, match="No space left on device"):
        leave(tmp_path, "new\n")
    assert (tmp_path / dialplan.ALONE_FILE).read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == [dialplan.ALONE_FILE]


@pytest.mark.parametrize("place", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_an_error_with_its_remedy(tmp_path: Path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ToneError) as error:
        leave(tmp_path / place, "text\n")
    assert str(tmp_path / place) in str(error.value)
    assert "Let the user that runs idtone write to this folder" in str(error.value)


def test_an_earlier_services_suspensions_are_remembered(tmp_path):
    since = datetime(2026, 3, 1, tzinfo=UTC)
    leave(tmp_path, render([Suspension(parse("0312345677"), since, "R-1")], Policy(), Unlicensed.NOTICE))
    assert remembered(tmp_path) == {"+81312345677": since}


def test_without_a_file_nothing_is_remembered(tmp_path):
    assert remembered(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["", "[policy]\n", "[suspended]\n8131 = soon\n", "no section", "[suspended]\n\xff = 1\n"]
)
def test_a_file_that_is_not_ours_is_an_error_with_its_remedy(tmp_path, text):
    (tmp_path / "alone.conf").write_text(text, "latin-1")
    with pytest.raises(ToneError, match="mend the registry"):
        remembered(tmp_path)
