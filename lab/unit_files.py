"""The project's systemd unit files, for the tests."""

import configparser
import re
from typing import Final

_HARDENING: Final = re.compile(
    r"^(?:NoNew|Capability|Protect|Private|Lock|Remove|Restrict(?!Prevent)|System)\w+=.*$", re.MULTILINE
)


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # the last value of a repeated key counts
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def hardening(text: str) -> list[str]:
    """The lines that restrict the unit's process, in the order of the file."""
    return _HARDENING.findall(text)
