"""The reader of AGI environments accepts what Asterisk sends, and no injected lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.agi.environment import (
    LONGEST,
    LONGEST_LINE,
    MOST_ARGUMENTS,
    AgiRequest,
    read_fields,
    read_request,
    write_fields,
)
from idtone.errors import AgiError

from .fake_asterisk import CALL, NUMBER, fields, presented

KEYS = list(fields(arguments=("a", "b")))
VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=80)


def refused(block: bytes) -> str:
    with pytest.raises(AgiError) as caught:
        read_request(block)
    text = str(caught.value)
    assert "1234" not in text, "an error must not contain a possible number"
    assert caught.value.__cause__ is None
    return text


def test_a_call_as_asterisk_presents_it():
    request = read_request(presented("decide", ["c-1", "0312345678", "", "日本"]))
    assert request == AgiRequest("decide", ("c-1", "0312345678", "", "日本"), "1795597718.1", NUMBER)


def test_a_request_shows_no_number():
    shown = repr(read_request(presented("decide", ["0312345678"])))
    assert shown == "AgiRequest(entry='decide', channel='1795597718.1')"


@pytest.mark.parametrize(("value", "number"), [(b"unknown", ""), (b"", ""), (b"\xff1", "\ufffd1"), (b"+81 3", "+81 3")])
def test_the_callers_number_never_leads_to_a_refusal(value, number):
    assert read_request(presented(agi_callerid=value)).caller_number == number


def test_unused_values_may_have_any_encoding():
    assert read_request(presented(agi_calleridname="鈴木".encode("shift_jis")))


def test_a_program_gets_the_same_without_the_network():
    assert read_fields(write_fields(CALL), network=False) == CALL
    with pytest.raises(AgiError, match="line 1 of the environment is not agi_network"):
        read_fields(write_fields(CALL), network=True)
    with pytest.raises(AgiError, match="line 1 of the environment is not agi_request"):
        read_fields(presented(), network=False)


@pytest.mark.parametrize("missing", KEYS[:-1])
def test_every_field_is_required(missing):
    lines = fields(arguments=("a", "b"))
    del lines[missing]
    assert refused(write_fields(lines)).endswith(f" of the environment is not {missing}")


@pytest.mark.parametrize("doubled", KEYS)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_no_field_comes_twice(doubled, at_the_end):
    line = b"%s: %s\n" % (doubled.encode(), fields(arguments=("a", "b"))[doubled])
    block = presented(arguments=("a", "b"))
    refused(block[:-1] + line + b"\n" if at_the_end else block.replace(line, line + line))


@pytest.mark.parametrize("place", range(len(KEYS) + 1))
@pytest.mark.parametrize("line", [b"agi_unknown: x", b"AGI_CHANNEL: x", b"agi_channel:x", b"", b" ", b"x"])
def test_an_unknown_line_is_found_in_every_place(place, line):
    lines = presented(arguments=("a", "b"))[:-2].split(b"\n")
    refused(b"\n".join([*lines[:place], line, *lines[place:]]) + b"\n\n")


@pytest.mark.parametrize("place", range(len(KEYS) - 1))
def test_the_fields_have_asterisks_order(place):
    lines = presented(arguments=("a", "b"))[:-2].split(b"\n")
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    refused(b"\n".join(lines) + b"\n\n")


@pytest.mark.parametrize("key", KEYS[:-1])
@pytest.mark.parametrize("injected", KEYS)
def test_a_line_break_in_a_value_cannot_forge_a_field(key, injected):
    """Except in the last argument: there the entry point checks the number of its arguments."""
    lines = fields(arguments=("a", "b"))
    lines[key] += b"\n%s: forged" % injected.encode()
    refused(write_fields(lines))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("control", [b"\r", b"\x00", b"\t", b"\x1b", b"\x7f"])
def test_no_value_contains_a_control_character(key, control):
    lines = fields(arguments=("a", "b"))
    lines[key] += control
    assert refused(write_fields(lines)) == f"{key} contains a control character"


@pytest.mark.parametrize("character", ["\x80", "\x9f", "\u2028", "\u2029"])
def test_no_argument_contains_a_unicode_control_character(character):
    assert refused(presented(arguments=("a", f"x{character}"))) == "agi_arg_2 contains a control character"


def test_an_argument_must_be_utf_8():
    assert refused(presented()[:-1] + b"agi_arg_1: \xff\n\n") == "agi_arg_1 is not UTF-8"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("agi_network", b"no"),
        ("agi_network_script", b""),
        ("agi_network_script", b"decide?number=0312345678"),
        ("agi_network_script", b"../decide"),
        ("agi_network_script", 65 * b"x"),
        ("agi_uniqueid", b""),
        ("agi_uniqueid", b"1 2"),
        ("agi_uniqueid", "日".encode()),
        ("agi_callingpres", b"x"),
        ("agi_priority", b"1.0"),
        ("agi_threadid", b"0x1"),
        ("agi_enhanced", b"2.0"),
    ],
)  # fmt: skip
def test_a_value_must_be_one_that_asterisk_sends(key, value):
    assert refused(presented(**{key: value})) == f"{key} has a value that Asterisk never sends"


def test_a_line_has_a_limit():
    room = LONGEST_LINE - len("agi_calleridname: ") - 1
    assert read_request(presented(agi_calleridname=room * b"x"))
    assert refused(presented(agi_calleridname=(room + 1) * b"x")) == "agi_calleridname is longer than 4096 octets"


def test_the_environment_has_a_limit():
    assert refused(presented(arguments=5 * [4000 * "x"])) == f"the environment is longer than {LONGEST} octets"
    assert refused(presented()[:-1]) == "the environment does not end with a blank line"
    assert refused(b"") == "the environment does not end with a blank line"


def test_the_arguments_have_a_limit():
    assert len(read_request(presented(arguments=MOST_ARGUMENTS * "x")).arguments) == MOST_ARGUMENTS
    assert refused(presented(arguments=(MOST_ARGUMENTS + 1) * "x")) == "there are more than 32 arguments"


@given(st.binary(max_size=400))
def test_any_octets_are_a_request_or_an_agi_error(block):
    try:
        read_request(block)
    except AgiError:
        return


@given(st.data())
def test_a_damaged_environment_is_a_request_or_an_agi_error(data):
    block = presented(arguments=("a", "b"))
    start = data.draw(st.integers(0, len(block)))
    end = data.draw(st.integers(start, min(len(block), start + 40)))
    try:
        read_request(block[:start] + data.draw(st.binary(max_size=40)) + block[end:])
    except AgiError:
        return


@given(
    entry=st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
    arguments=st.lists(VALUES, max_size=8),
    name=VALUES,
    number=VALUES.filter(lambda number: number != "unknown"),
)
def test_a_round_trip(entry, arguments, name, number):
    block = presented(entry, arguments, agi_calleridname=name.encode(), agi_callerid=number.encode())
    assert read_request(block) == AgiRequest(entry, tuple(arguments), "1795597718.1", number)
    assert write_fields(read_fields(block, network=True)) == block
