"""Parser for the AGI environment, the lines with which Asterisk describes a call.

Each line has one field (`agi_request: agi://127.0.0.1/decide`), and a blank line ends the environment. Asterisk does
not escape values. A caller's texts can contain line breaks (PJSIP decodes `%0d%0a`), also in the name of a Local
channel. But Asterisk 20 to 22 send the fields in one fixed order (`launch_netscript` and `setup_env` in res_agi.c).
This module accepts only that order, so an injected field takes the place of another one and is noticed. A line that is
not a field belongs to the value of the unused field before it. Two injections are detected by other modules:

- A name can contain a whole environment with its blank line. Asterisk's own remaining lines then come where a response
  is expected, so `server` waits for the response to a first command.
- A line break in the last argument can add further arguments. An entry point takes a fixed number of them.

Only the values that the service uses are checked: they must be UTF-8 without control characters. If all were checked, a
caller could make an unused one invalid, and the call would get no verdict.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from idtone.core.errors import AgiError

LONGEST_LINE: Final = 4096
LONGEST: Final = 16384
"""Maximum length of a line and of the whole environment in octets, including line ends."""
MOST_ARGUMENTS: Final = 32

_NETWORK: Final = ("agi_network", "agi_network_script")
"""Fields that Asterisk sends first over a network."""

_CALL: Final = (
    "agi_request",
    "agi_channel",
    "agi_language",
    "agi_type",
    "agi_uniqueid",
    "agi_version",
    "agi_callerid",
    "agi_calleridname",
    "agi_callingpres",
    "agi_callingani2",
    "agi_callington",
    "agi_callingtns",
    "agi_dnid",
    "agi_rdnis",
    "agi_context",
    "agi_extension",
    "agi_priority",
    "agi_enhanced",
    "agi_accountcode",
    "agi_threadid",
)
"""Fields that Asterisk always sends next, followed by `agi_arg_1` and so on."""

_USED: Final = {
    "agi_network": rb"yes",
    "agi_network_script": rb"[A-Za-z0-9_.-]{1,64}",
    "agi_uniqueid": rb".{1,149}",
}
"""Pattern for the value of each used field except the arguments."""
_FIELD: Final = b"agi_"
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_UNICODE_CONTROL: Final = re.compile("[\x80-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """A request from the dialplan: `AGI(agi://…/ENTRY,ARGUMENT,…)`. Its repr omits the arguments.

    `channel` is the uniqueid of the requesting channel. An ARI application may have chosen it, with any characters.
    """

    entry: str
    arguments: tuple[str, ...] = field(repr=False)
    channel: str


def read_request(block: bytes) -> AgiRequest:
    """Parse the environment that Asterisk sends over a network, including its blank line.

    Raises AgiError, which names the field but never quotes its value.
    """
    fields = read_fields(block, network=True)
    return AgiRequest(
        fields["agi_network_script"].decode("ascii"),
        tuple(_text(name, value) for name, value in fields.items() if name.startswith("agi_arg_")),
        _text("agi_uniqueid", fields["agi_uniqueid"]),
    )


def read_fields(block: bytes, *, network: bool) -> dict[str, bytes]:
    """All fields in order, with their raw values. `network` is True for FastAGI. Raises AgiError."""
    if len(block) > LONGEST:
        raise AgiError(f"the environment is longer than {LONGEST} octets")
    if not block.endswith(b"\n\n"):
        raise AgiError("the environment does not end with a blank line")
    known = (*_NETWORK, *_CALL) if network else _CALL
    lines = _lines(block[:-2], len(known))
    if len(lines) > len(known) + MOST_ARGUMENTS:
        raise AgiError(f"there are more than {MOST_ARGUMENTS} arguments")
    names = [*known, *(f"agi_arg_{number}" for number in range(1, len(lines) - len(known) + 1))]
    fields = {}
    for number, name in enumerate(names, 1):
        line = lines[number - 1] if number <= len(lines) else b""
        start = f"{name}: ".encode()
        if not line.startswith(start):
            raise AgiError(f"line {number} of the environment is not {name}")
        fields[name] = value = line[len(start) :]
        if name in known and name not in _USED:
            continue
        if len(line) >= LONGEST_LINE:
            raise AgiError(f"{name} is longer than {LONGEST_LINE} octets")
        if _CONTROL.search(value):
            raise AgiError(f"{name} contains a control character")
        if name in _USED and not re.fullmatch(_USED[name], value):
            raise AgiError(f"{name} has a value that Asterisk never sends")
    return fields


def _lines(block: bytes, known: int) -> list[bytes]:
    """Split the environment into fields.

    Among the first `known` fields, a line that is not a field is added to the field before it.
    """
    found: list[bytes] = []
    for line in block.split(b"\n"):
        if found and len(found) <= known and not line.startswith(_FIELD):
            found[-1] += b"\n" + line
        else:
            found.append(line)
    return found


def write_fields(fields: Mapping[str, bytes]) -> bytes:
    """Encode fields as Asterisk does, with the final blank line."""
    return b"".join(b"%s: %s\n" % (name.encode(), value) for name, value in fields.items()) + b"\n"


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise AgiError(f"{name} is not UTF-8") from None
    if _UNICODE_CONTROL.search(text):
        raise AgiError(f"{name} contains a control character")
    return text
