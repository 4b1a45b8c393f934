"""The project's systemd units, for the tests."""

import configparser
import re
from typing import Final

_HARDENING: Final = re.compile(
    r"^(?:NoNew|Capability|Protect|Private|Lock|Remove|Restrict(?!Prevent)|System)\w+=.*$", re.MULTILINE
)


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # of a repeated key, the last counts
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def hardening(text: str) -> list[str]:
    """The lines that restrict the unit's process, in the file's order."""
    return _HARDENING.findall(text)
