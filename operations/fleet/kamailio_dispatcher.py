"""Remote procedures of Kamailio's dispatcher, and a parser for the output of `dispatcher.list`.

A destination is taken out as disabled (`dx`). Inactive would not be enough, because Kamailio probes inactive
destinations with OPTIONS (ds_probing_mode 1) and activates them when they answer. It does not probe disabled
destinations.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

LIST: Final = ("dispatcher.list",)
_OUT, _BACK = "dx", "ap"
"""Dispatcher states: disabled, and active with OPTIONS."""
_DISABLED, _ACTIVE, _TRYING = "D", "A", "T"
_FIELD: Final = re.compile(r"\b(ID|URI|FLAGS)\b\"?\s*:\s*\"?([^\s\",}]+)")
"""A field in kamcmd's output or in the JSON from kamctl and kamcli."""


def take_out_procedure(group: int, address: str) -> Sequence[str]:
    """Remote procedure that takes a destination out, so that it receives no new calls."""
    return ("dispatcher.set_state", _OUT, str(group), address)


def put_back_procedure(group: int, address: str) -> Sequence[str]:
    """Remote procedure that puts a destination back."""
    return ("dispatcher.set_state", _BACK, str(group), address)


def destination_flags(output: str, group: int) -> dict[str, str]:
    """Flags, such as AP, of each destination in a dispatcher set, by address; empty if there is no such set."""
    found: dict[str, str] = {}
    in_group, address = False, ""
    for name, value in _FIELD.findall(output):
        if name == "ID":
            in_group = value == str(group)
        elif name == "URI":
            address = value
        elif in_group:
            found[address] = value
    return found


def is_out(flags: str) -> bool:
    """True if a destination receives no calls even if it answers OPTIONS."""
    return flags.startswith(_DISABLED)


def is_in(flags: str) -> bool:
    """True if a destination receives calls."""
    return flags.startswith((_ACTIVE, _TRYING))


def has_other_active(found: Mapping[str, str], address: str) -> bool:
    """True if a destination other than `address` receives calls."""
    return any(is_in(flags) for other, flags in found.items() if other != address)
