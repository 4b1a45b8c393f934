"""Asterisk's limit of open files → how many calls it carries, and the unit's setting for more. Pure."""

import re
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .asterisk import sections
from .findings import Finding, good, unknown, warning

A_CALL: Final = 10
"""Descriptors of a forwarded call: both legs' RTP and RTCP, their timers, and what carries their frames."""
WITHOUT_CALLS: Final = 40
"""Descriptors of an Asterisk without calls: sockets, the log, the database."""
CALLS: Final = 600
"""Calls in progress on a node of the fleet at 3.3 calls a second of three minutes (docs/explanation/fleet.md)."""
LIMIT: Final = 65536
"""What the unit is to set: 6,549 calls."""
DROP_IN: Final = "50-idtone.conf"

_LIMIT: Final = re.compile(r"^Max open files +([0-9]+|unlimited) ", re.MULTILINE)
_UNIT: Final = re.compile(r"/([^/\n]+\.service)$", re.MULTILINE)


def limit_of(limits: str) -> int | None:
    """The soft limit in the text of /proc/PID/limits; None if it is not there."""
    found = _LIMIT.search(limits)
    if not found:
        return None
    return 2**31 if found[1] == "unlimited" else int(found[1])


def unit_of(control_groups: str) -> str | None:
    """The unit of systemd that a process belongs to, by the text of /proc/PID/cgroup; None if to none."""
    found = _UNIT.search(control_groups)
    return found[1] if found else None


def planned_calls(asterisk_conf: str) -> int:
    """How many calls Asterisk is to carry: `maxcalls` of asterisk.conf, else those of a node of the fleet."""
    value = sections(asterisk_conf).get("options", {}).get("maxcalls", "")
    return int(value) if value.isdecimal() and 0 < int(value) < 10**6 else CALLS


def calls_for(limit: int) -> int:
    """How many calls in progress fit into a limit of open files."""
    return max(0, limit - WITHOUT_CALLS) // A_CALL


def files_for(calls: int) -> int:
    """The limit of open files that so many calls need."""
    return WITHOUT_CALLS + A_CALL * calls


def limit_for(calls: int) -> int:
    """The limit to set, for so many calls or more."""
    return max(LIMIT, files_for(calls))


def setting(calls: int) -> str:
    """The lines for the unit."""
    return f"[Service]\nLimitNOFILE={limit_for(calls)}\n"


def drop_in(unit: str, units: Path) -> Path:
    """The file for these lines."""
    return units / f"{unit}.d" / DROP_IN


def judge(limit: int | None, calls: int, unit: str | None) -> Finding:
    """`limit` is the running Asterisk's; None if its process was not found. `unit` is the one that runs it."""
    topic = "open-files"
    if limit is None:
        return unknown(
            topic,
            Message("Asterisk's process was not found"),
            Message("grep 'open files' /proc/$(pidof asterisk)/limits: {files} or more", files=files_for(calls)),
        )
    carried = calls_for(limit)
    if carried >= calls:
        return good(topic, Message("{limit} open files carry {carried} calls", limit=limit, carried=carried))
    lines = setting(calls).split()
    return warning(
        topic,
        Message(
            "{limit} open files carry {carried} calls, {wanted} are wanted", limit=limit, carried=carried, wanted=calls
        ),
        Message(
            "idtone setup; or systemctl edit {unit}: `{section}`, `{value}`; then restart Asterisk without calls",
            unit=unit or "asterisk",
            section=lines[0],
            value=lines[1],
        ),
    )
