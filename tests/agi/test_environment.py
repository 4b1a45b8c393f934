"""The reader of AGI environments: it accepts what Asterisk sends, and no injected lines."""

import pytest
from hypothesis import given, settings
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
from idtone.core.errors import AgiError
from lab.agi.fake_asterisk import CALL, agi_fields, encode_agi_fields

ARGUMENTS = ("a", "b")
KEYS = list(agi_fields(arguments=ARGUMENTS))
USED = {"agi_network", "agi_network_script", "agi_uniqueid", "agi_arg_1", "agi_arg_2"}
LINES = encode_agi_fields(arguments=ARGUMENTS)[:-2].split(b"\n")
VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)


def refused(block: bytes) -> str:
    with pytest.raises(AgiError) as caught:
        pytest.fail(f"{block!r} was read as {read_request(block)}")
    text = str(caught.value)
    assert "1234" not in text, "an error must not contain a possible number"
    assert caught.value.__cause__ is None
    return text


def block_of(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n\n"


def test_a_call_as_asterisk_presents_it():
    """For plain AGI, the environment lacks the network's fields. Fields that idtone does not use may have any encoding;
    an argument must be UTF-8.
    """
    request = read_request(encode_agi_fields("decide", ["c-1", "0312345678", "", "日本"]))
    assert request == AgiRequest("decide", ("c-1", "0312345678", "", "日本"), "1795597718.1")
    assert repr(request) == "AgiRequest(entry='decide', channel='1795597718.1')", "it shows no number"
    assert read_request(encode_agi_fields(agi_calleridname="鈴木".encode("shift_jis")))
    assert refused(encode_agi_fields()[:-1] + b"agi_arg_1: \xff\n\n") == "agi_arg_1 is not UTF-8"
    assert read_fields(write_fields(CALL), network=False) == CALL
    for block, network, key in ((write_fields(CALL), True, "agi_network"), (encode_agi_fields(), False, "agi_request")):
        with pytest.raises(AgiError, match=f"line 1 of the environment is not {key}"):
            read_fields(block, network=network)


def test_every_field_is_required_once_and_in_asterisks_order():
    for key, place in zip(KEYS, range(len(KEYS)), strict=True):
        without = LINES[:place] + LINES[place + 1 :]
        if key != KEYS[-1]:
            assert refused(block_of(without)).endswith(f" of the environment is not {key}")
            refused(block_of([*without[: place + 1], LINES[place], *without[place + 1 :]]))  # two lines change places
        for elsewhere in (place, len(LINES)):
            refused(block_of([*LINES[:elsewhere], LINES[place], *LINES[elsewhere:]]))


def test_an_unknown_line_is_found_in_every_place():
    for line in (b"agi_unknown: x", b"agi_channel:x"):
        for place in range(len(LINES) + 1):
            refused(block_of([*LINES[:place], line, *LINES[place:]]))
    for line in (b"AGI_CHANNEL: x", b" ", b"x"):
        for place in range(len(LINES) + 1):
            block = block_of([*LINES[:place], line, *LINES[place:]])
            if place and KEYS[place - 1] not in USED:
                assert read_request(block) == read_request(encode_agi_fields(arguments=ARGUMENTS)), (
                    "it continues a value"
                )
            else:
                refused(block)


def test_no_value_forges_a_field_and_none_that_is_used_contains_a_control_character():
    """The last argument may contain a control character: the entry point checks the number of arguments."""
    for key in KEYS:
        for injected in KEYS if key != KEYS[-1] else ():
            lines = agi_fields(arguments=ARGUMENTS)
            refused(write_fields(lines | {key: lines[key] + b"\n%s: forged" % injected.encode()}))
        for control in (b"\r", b"\x00", b"\t", b"\x1b", b"\x7f"):
            lines = agi_fields(arguments=ARGUMENTS)
            block = write_fields(lines | {key: lines[key] + control})
            if key in USED:
                assert refused(block) == f"{key} contains a control character", control
            else:
                assert read_request(block) == read_request(encode_agi_fields(arguments=ARGUMENTS)), (key, control)
    for character in ("\x80", "\x9f", "\u2028", "\u2029"):
        assert refused(encode_agi_fields(arguments=("a", f"x{character}"))) == "agi_arg_2 contains a control character"


def test_a_value_must_be_one_that_asterisk_sends():
    for key, values in {
        "agi_network": [b"no"],
        "agi_network_script": [b"", b"decide?number=0312345678", b"../decide", 65 * b"x"],
        "agi_uniqueid": [b"", 150 * b"1"],
    }.items():
        for value in values:
            assert refused(encode_agi_fields(**{key: value})) == f"{key} has a value that Asterisk never sends", value


def test_an_application_may_choose_the_id_of_a_channel():
    for channel in ("1 2", 'a,b "c" (d)', "日本"):
        assert read_request(encode_agi_fields(agi_uniqueid=channel.encode())).channel == channel
    assert refused(encode_agi_fields(agi_uniqueid=b"\xff")) == "agi_uniqueid is not UTF-8"


def test_everything_has_a_limit():
    room = LONGEST_LINE - len("agi_arg_1: ") - 1
    assert read_request(encode_agi_fields(arguments=[room * "x"]))
    assert refused(encode_agi_fields(arguments=[(room + 1) * "x"])) == "agi_arg_1 is longer than 4096 octets"
    assert refused(encode_agi_fields(arguments=5 * [4000 * "x"])) == f"the environment is longer than {LONGEST} octets"
    assert refused(encode_agi_fields()[:-1]) == "the environment does not end with a blank line"
    assert refused(b"") == "the environment does not end with a blank line"
    assert len(read_request(encode_agi_fields(arguments=MOST_ARGUMENTS * "x")).arguments) == MOST_ARGUMENTS
    assert refused(encode_agi_fields(arguments=(MOST_ARGUMENTS + 1) * "x")) == "there are more than 32 arguments"


@settings(max_examples=50)
@given(st.data())
def test_any_octets_are_a_request_or_an_agi_error(data):
    """`make fuzz` tries many more octets."""
    block = encode_agi_fields(arguments=ARGUMENTS)
    start = data.draw(st.integers(0, len(block)))
    end = data.draw(st.integers(start, min(len(block), start + 40)))
    garbage = data.draw(st.binary(max_size=40))
    for octets in (garbage, block[:start] + garbage + block[end:]):
        try:
            read_request(octets)
        except AgiError:
            continue


@settings(max_examples=25)
@given(
    entry=st.text("AZaz09_.-", min_size=1, max_size=64),
    arguments=st.lists(VALUES, max_size=8),
    name=VALUES,
    number=VALUES,
)
def test_a_round_trip(entry, arguments, name, number):
    block = encode_agi_fields(entry, arguments, agi_calleridname=name.encode(), agi_callerid=number.encode())
    assert read_request(block) == AgiRequest(entry, tuple(arguments), "1795597718.1")
    assert write_fields(read_fields(block, network=True)) == block
