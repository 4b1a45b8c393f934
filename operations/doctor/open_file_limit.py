"""The doctor's check of Asterisk's limit of open files, which limits its calls."""

import re
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .asterisk_findings import sections
from .findings import Finding, good, unknown, warning

A_CALL: Final = 10
"""Descriptors of one forwarded call: RTP, RTCP and timers of both legs, and the transport of their frames."""
WITHOUT_CALLS: Final = 40
"""Descriptors of an Asterisk without calls: sockets, the log, the database."""
CALLS: Final = 600
"""Planned calls in progress: a node of a fleet, with 3.3 calls a second of three minutes each
(docs/explanation/fleet.md).
"""
LIMIT: Final = 65536
"""The usual limit for the unit: enough for 6,549 calls."""
DROP_IN: Final = "50-idtone.conf"

_LIMIT: Final = re.compile(r"^Max open files +([0-9]+|unlimited) ", re.MULTILINE)
_UNIT: Final = re.compile(r"/([^/\n]+\.service)$", re.MULTILINE)


def limit_of(limits: str) -> int | None:
    """Soft limit of open files in the text of /proc/PID/limits; None if it is missing."""
    match = _LIMIT.search(limits)
    if not match:
        return None
    return 2**31 if match[1] == "unlimited" else int(match[1])


def unit_of(control_groups: str) -> str | None:
    """systemd unit of a process, from the text of /proc/PID/cgroup; None if it has none."""
    match = _UNIT.search(control_groups)
    return match[1] if match else None


def planned_calls(asterisk_conf: str) -> int:
    """Number of calls that Asterisk should carry: `maxcalls` of asterisk.conf, or else `CALLS`."""
    value = sections(asterisk_conf).get("options", {}).get("maxcalls", "")
    return int(value) if value.isdecimal() and 0 < int(value) < 10**6 else CALLS


def calls_within(limit: int) -> int:
    """Number of simultaneous calls that a limit of open files allows."""
    return max(0, limit - WITHOUT_CALLS) // A_CALL


def needed_limit(calls: int) -> int:
    """Limit of open files that a number of calls needs."""
    return WITHOUT_CALLS + A_CALL * calls


def recommended_limit(calls: int) -> int:
    """Limit of open files to set for a number of calls, at least `LIMIT`."""
    return max(LIMIT, needed_limit(calls))


def drop_in_text(calls: int) -> str:
    """Text of the systemd drop-in that raises the limit of open files."""
    return f"[Service]\nLimitNOFILE={recommended_limit(calls)}\n"


def drop_in_path(unit: str, units: Path) -> Path:
    return units / f"{unit}.d" / DROP_IN


def judge(limit: int | None, calls: int, unit: str | None) -> Finding:
    """Check that Asterisk may open enough files for its calls.

    `limit` is that of the running Asterisk, or None if its process was not found. `unit` is its systemd unit.
    """
    topic = "open-files"
    if limit is None:
        return unknown(
            topic,
            Message("Asterisk's process was not found"),
            Message("grep 'open files' /proc/$(pidof asterisk)/limits: {files} or more", files=needed_limit(calls)),
        )
    carried = calls_within(limit)
    if carried >= calls:
        return good(topic, Message("{limit} open files carry {carried} calls", limit=limit, carried=carried))
    lines = drop_in_text(calls).split()
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
