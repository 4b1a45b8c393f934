"""Commands and responses as octets, without pyst2's side effects."""

from __future__ import annotations

import io
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.agi.codec import LONGEST_COMMAND, AgiCodec, AgiResponse
from idtone.errors import AgiError

codec = AgiCodec()


def refused(line: bytes) -> str:
    with pytest.raises(AgiError) as caught:
        codec.response(line)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("", b'SET VARIABLE "A" ""\n'),
        ("PLAY:licence-valid", b'SET VARIABLE "A" "PLAY:licence-valid"\n'),
        ('x" "y', b'SET VARIABLE "A" "x\\" \\"y"\n'),
        ("x\\", b'SET VARIABLE "A" "x\\\\"\n'),
        ("${B} 日本 ", 'SET VARIABLE "A" "${B} 日本 "\n'.encode()),
    ],
)
def test_a_value_is_escaped(value, line):
    assert codec.set_variable("A", value) == line


@pytest.mark.parametrize("control", ["\n", "\r", "\x00", "\x7f", "\x85", "\u2028", "\udcff"])
def test_no_command_contains_a_control_character(control):
    with pytest.raises(AgiError, match=r"^SET VARIABLE: an argument contains a control character$"):
        codec.set_variable("A", f"x{control}")


def test_a_command_fits_asterisks_line():
    room = LONGEST_COMMAND - len(codec.set_variable("A", ""))
    assert len(codec.set_variable("A", room * "x")) == LONGEST_COMMAND
    with pytest.raises(AgiError, match="longer than 2047 octets"):
        codec.set_variable("A", (room + 1) * "x")
    with pytest.raises(AgiError, match="longer than 2047 octets"):
        codec.set_variable("A", (room // 3 + 1) * "日")


@pytest.mark.parametrize("name", ["", "1A", "A B", "SHELL(id)", "A\n", "日", 81 * "A"])
def test_a_variable_has_a_plain_name(name):
    with pytest.raises(AgiError, match="the name of a channel variable"):
        codec.set_variable(name, "x")


@pytest.mark.parametrize(
    ("line", "response"),
    [
        (b"200 result=0\n", AgiResponse(200, "0")),
        (b"200 result=1\n", AgiResponse(200, "1")),
        (b"200 result=1 (a value)\n", AgiResponse(200, "1", "a value")),
        (b"200 result=1 ()\n", AgiResponse(200, "1")),
        (b"200 result=1 (a (b) c=d)\n", AgiResponse(200, "1", "a (b) c=d")),
        ("200 result=1 (日本)\n".encode(), AgiResponse(200, "1", "日本")),
        (b"200 result=1 (timeout) endpos=8\n", AgiResponse(200, "1", "timeout")),
    ],
)
def test_a_response(line, response):
    assert codec.response(line) == response
    assert not response.hung_up


@pytest.mark.parametrize(
    "line",
    [
        b"511 Command Not Permitted on a dead channel or intercept routine\n",
        b"200 result=-1\n",
        b"200 result=1 (hangup)\n",
    ],
)
def test_a_hangup_is_an_outcome(line):
    assert codec.response(line).hung_up
    assert not codec.executed(line, "1")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"510 Invalid or unknown command\n", 510),
        (b"520-Invalid command syntax.  Proper usage follows:\n", 520),
        (b"520 Invalid command syntax.  Proper usage not available.\n", 520),
        (b"999 \n", 999),
    ],
)
def test_a_refused_command_is_an_error(line, code):
    assert refused(line) == f"Asterisk refused a command (code {code})"


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"200\n", b"200 result=1", b"200 result=1\n\n", b"200 result=1\r\n", b"200 result=1 (a\x00)\n",
     b"HANGUP\n", b"agi_calleridname: x\n", b"0200 result=1\n", "٢٠٠ result=1\n".encode(), 20000 * b"2" + b"\n"],
)  # fmt: skip
def test_a_malformed_response_is_an_error(line):
    assert refused(line) == "Asterisk's response is malformed"


def test_other_faults_of_a_response():
    assert refused(b"200 result=1 (\xff)\n") == "Asterisk's response is not UTF-8"
    assert refused(b"200 nothing\n") == "Asterisk's response has no result"
    with pytest.raises(AgiError, match="did not execute"):
        codec.executed(b"200 result=0\n", "1")
    assert codec.executed(b"200 result=0\n", "0")


@given(st.one_of(st.binary(max_size=200), st.from_regex(rb"[1-9][0-9]{2}[ -][^\n]*\n", fullmatch=True)))
def test_any_octets_are_a_response_or_an_agi_error(line):
    try:
        codec.response(line)
    except AgiError:
        return


def test_the_repr_of_a_response_shows_no_data():
    assert repr(AgiResponse(200, "1", "0312345678")) == "AgiResponse(code=200, result='1')"


def test_pyst2_does_not_touch_the_process(monkeypatch, capfd):
    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(sys, "stdin", io.StringIO("must not be read"))
    fresh = AgiCodec()
    fresh.set_variable("A", "0312345678")
    fresh.response(b"200 result=1 (0312345678)\n")
    assert sys.stdin.read() == "must not be read"
    assert capfd.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGHUP) is before
