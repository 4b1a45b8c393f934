"""AGI commands and responses as octets, without pyst2's side effects."""

import io
import signal
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.agi.codec import LONGEST_COMMAND, AgiCodec, AgiResponse
from idtone.core.errors import AgiError

codec = AgiCodec()


def refused(line: bytes) -> str:
    with pytest.raises(AgiError) as caught:
        pytest.fail(f"{line!r} was read as {codec.response(line)}")
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


def test_a_command_fits_asterisks_line():
    room = LONGEST_COMMAND - len(codec.set_variable("A", ""))
    assert len(codec.set_variable("A", room * "x")) == LONGEST_COMMAND


TOO_LONG = "SET VARIABLE is longer than 2047 octets"
CONTROL = "SET VARIABLE: an argument contains a control character"
NAME = "the name of a channel variable has letters, digits and underscores only"
REFUSED = [
    *(("A", f"x{control}", CONTROL) for control in ("\n", "\r", "\x00", "\x7f", "\x85", "\u2028", "\udcff")),
    *(("A", value, TOO_LONG) for value in (LONGEST_COMMAND * "x", LONGEST_COMMAND // 3 * "日")),
    *((name, "x", NAME) for name in ("", "1A", "A B", "SHELL(id)", "A\n", "日", 81 * "A")),
]


@pytest.mark.parametrize(("name", "value", "error"), REFUSED, ids=lambda text: ascii(text[:20]))
def test_a_command_that_asterisk_would_read_otherwise_is_an_error(name, value, error):
    with pytest.raises(AgiError) as caught:
        codec.set_variable(name, value)
    assert str(caught.value) == error


MALFORMED = "Asterisk's response is malformed"
RESPONSES = [
    (b"200 result=0\n", AgiResponse(200, "0")),
    (b"200 result=1\n", AgiResponse(200, "1")),
    (b"200 result=1 (a value)\n", AgiResponse(200, "1", "a value")),
    (b"200 result=1 ()\n", AgiResponse(200, "1")),
    (b"200 result=1 (a (b) c=d)\n", AgiResponse(200, "1", "a (b) c=d")),
    ("200 result=1 (日本)\n".encode(), AgiResponse(200, "1", "日本")),
    (b"200 result=1 (timeout) endpos=8\n", AgiResponse(200, "1", "timeout")),
    (b"510 Invalid or unknown command\n", "Asterisk refused a command (code 510)"),
    (b"520-Invalid command syntax.  Proper usage follows:\n", "Asterisk refused a command (code 520)"),
    (b"520 Invalid command syntax.  Proper usage not available.\n", "Asterisk refused a command (code 520)"),
    (b"999 \n", "Asterisk refused a command (code 999)"),
    (b"200 result=1 (\xff)\n", "Asterisk's response is not UTF-8"),
    (b"200 nothing\n", "Asterisk's response has no result"),
    *((line, MALFORMED) for line in (
        b"", b"\n", b"200\n", b"200 result=1", b"200 result=1\n\n", b"200 result=1\r\n", b"200 result=1 (a\x00)\n",
        b"HANGUP\n", b"agi_calleridname: x\n", b"0200 result=1\n", "٢٠٠ result=1\n".encode(), 20000 * b"2" + b"\n",
    )),
]  # fmt: skip
"""Each line from Asterisk, and the response read from it, or the error."""


@pytest.mark.parametrize(("line", "found"), RESPONSES, ids=lambda each: ascii(each)[:30])
def test_a_response(line, found):
    if isinstance(found, str):
        assert refused(line) == found
    else:
        assert codec.response(line) == found
        assert not found.hung_up


def test_whether_a_command_was_executed():
    for hangup in (b"511 Command Not Permitted on a dead channel\n", b"200 result=-1\n", b"200 result=1 (hangup)\n"):
        assert codec.response(hangup).hung_up, hangup
        assert not codec.executed(hangup, "1"), hangup
    assert codec.executed(b"200 result=0\n", "0")
    with pytest.raises(AgiError, match="did not execute"):
        codec.executed(b"200 result=0\n", "1")


@settings(max_examples=50)
@given(st.one_of(st.binary(max_size=200), st.from_regex(rb"[1-9][0-9]{2}[ -][^\n]*\n", fullmatch=True)))
def test_any_octets_are_a_response_or_an_agi_error(line):
    """`make fuzz` tries many more octets."""
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
