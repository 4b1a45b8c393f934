"""The lines in which Asterisk presents a call over AGI, read strictly.

`agi_request: agi://127.0.0.1/decide` and so on, one field a line, then a blank one. Asterisk escapes nothing in them,
and a caller's name or number may hold line breaks (PJSIP decodes `%0d%0a`). But it sends the fields in one fixed
order, the same in the versions 20 to 22 (`launch_netscript` and `setup_env` of res_agi.c). So that order is all that
is taken: a line that somebody put between two others is in the place of a third one. Two injections the lines alone
do not give away, and others must look:

- A whole environment of its own, blank line and all, within a name: Asterisk's own remaining lines then follow behind
  it, where a response is expected (`server` has one come before it believes anything).
- Further arguments behind the last one: an entry point takes a fixed number of them.

A value that is used must be UTF-8. What nobody looks at may have any encoding, like the name of a caller from a
network that knows no better; the caller's number has U+FFFD for what is not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from idtone.errors import AgiError

LONGEST_LINE: Final = 4096
LONGEST: Final = 16384
"""Octets of a line and of the whole, line ends included."""
MOST_ARGUMENTS: Final = 32

_ANY: Final = rb".*"
_INTEGER: Final = rb"-?[0-9]{1,20}"

_NETWORK: Final = {
    "agi_network": rb"yes",
    "agi_network_script": rb"[A-Za-z0-9_.-]{1,64}",
}
"""What Asterisk sends first over a network: field → what its value must be."""

_CALL: Final = {
    "agi_request": rb".+",
    "agi_channel": rb".+",
    "agi_language": _ANY,
    "agi_type": rb".+",
    "agi_uniqueid": rb"[!-~]{1,149}",
    "agi_version": rb".+",
    "agi_callerid": _ANY,
    "agi_calleridname": _ANY,
    "agi_callingpres": _INTEGER,
    "agi_callingani2": _INTEGER,
    "agi_callington": _INTEGER,
    "agi_callingtns": _INTEGER,
    "agi_dnid": _ANY,
    "agi_rdnis": _ANY,
    "agi_context": _ANY,
    "agi_extension": _ANY,
    "agi_priority": _INTEGER,
    "agi_enhanced": rb"[01]\.0",
    "agi_accountcode": _ANY,
    "agi_threadid": _INTEGER,
}
"""What it sends to everybody, then; `agi_arg_1` and so on follow."""

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_UNICODE_CONTROL: Final = re.compile("[\x80-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """What the dialplan asks: `AGI(agi://…/ENTRY,ARGUMENT,…)`. Numbers stay out of its repr.

    `channel` is the uniqueid of the channel that asks, `caller_number` is empty where Asterisk knows none.
    """

    entry: str
    arguments: tuple[str, ...] = field(repr=False)
    channel: str
    caller_number: str = field(repr=False)


def read_request(block: bytes) -> AgiRequest:
    """Read what Asterisk sends over a network, up to and with the blank line.

    Raises AgiError, which names the field and holds nothing of its value.
    """
    fields = read_fields(block, network=True)
    number = fields["agi_callerid"].decode("utf-8", "replace")
    return AgiRequest(
        fields["agi_network_script"].decode("ascii"),
        tuple(_text(name, value) for name, value in fields.items() if name.startswith("agi_arg_")),
        fields["agi_uniqueid"].decode("ascii"),
        "" if number == "unknown" else number,
    )


def read_fields(block: bytes, *, network: bool) -> dict[str, bytes]:
    """Every field with its value as it came, in order; `network` says whether it came over one. Raises AgiError."""
    if len(block) > LONGEST:
        raise AgiError(f"the environment is longer than {LONGEST} octets")
    if not block.endswith(b"\n\n"):
        raise AgiError("the environment has no end")
    lines = block[:-2].split(b"\n")
    known = _NETWORK | _CALL if network else _CALL
    if len(lines) > len(known) + MOST_ARGUMENTS:
        raise AgiError(f"there are more than {MOST_ARGUMENTS} arguments")
    names = [*known, *(f"agi_arg_{number}" for number in range(1, len(lines) - len(known) + 1))]
    fields = {}
    for number, name in enumerate(names, 1):
        line = lines[number - 1] if number <= len(lines) else b""
        start = f"{name}: ".encode()
        if not line.startswith(start):
            raise AgiError(f"{name} is not where Asterisk sends it, in line {number}")
        fields[name] = value = line[len(start) :]
        if len(line) >= LONGEST_LINE:
            raise AgiError(f"{name} is longer than {LONGEST_LINE} octets")
        if _CONTROL.search(value):
            raise AgiError(f"{name} holds a control character")
        if not re.fullmatch(known.get(name, _ANY), value):
            raise AgiError(f"{name} has a value that Asterisk does not give it")
    return fields


def write_fields(fields: Mapping[str, bytes]) -> bytes:
    """The lines as Asterisk sends them, and the blank one."""
    return b"".join(b"%s: %s\n" % (name.encode(), value) for name, value in fields.items()) + b"\n"


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise AgiError(f"{name} is not UTF-8") from None
    if _UNICODE_CONTROL.search(text):
        raise AgiError(f"{name} holds a control character")
    return text
