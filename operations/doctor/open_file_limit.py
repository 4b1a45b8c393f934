"""The doctor's check of Asterisk's open file limit, which limits its calls."""

import re
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .asterisk_findings import sections
from .findings import Finding, good, unknown, warning

A_CALL: Final = 10
"""File descriptors that one forwarded call needs: RTP, RTCP and timers for both legs, and the transport of their
frames."""
WITHOUT_CALLS: Final = 40
"""File descriptors that Asterisk needs without calls: sockets, the log and the database."""
CALLS: Final = 600
"""Planned number of calls in progress, for a fleet node with 3.3 calls per second of three minutes each
(docs/explanation/fleet.md)."""
LIMIT: Final = 65536
"""The usual limit for the unit, enough for 6,549 calls."""
DROP_IN: Final = "50-idtone.conf"

_LIMIT: Final = re.compile(r"^Max open files +([0-9]+|unlimited) ", re.MULTILINE)
_UNIT: Final = re.compile(r"/([^/\n]+\.service)$", re.MULTILINE)


def limit_of(limits: str) -> int | None:
    """Soft limit on open files from the text of /proc/PID/limits; None if it is missing."""
    match = _LIMIT.search(limits)
    if not match:
        return None
    return 2**31 if match[1] == "unlimited" else int(match[1])


def unit_of(control_groups: str) -> str | None:
    """A process's systemd unit from the text of /proc/PID/cgroup; None if it has none."""
    match = _UNIT.search(control_groups)
    return match[1] if match else None


def planned_calls(asterisk_conf: str) -> int:
    """Number of calls that Asterisk should carry: `maxcalls` in asterisk.conf, or `CALLS` by default."""
    value = sections(asterisk_conf).get("options", {}).get("maxcalls", "")
    return int(value) if value.isdecimal() and 0 < int(value) < 10**6 else CALLS


def calls_within(limit: int) -> int:
    """Number of simultaneous calls that an open file limit allows."""
    return max(0, limit - WITHOUT_CALLS) // A_CALL


def needed_limit(calls: int) -> int:
    """Open file limit that a number of calls requires."""
    return WITHOUT_CALLS + A_CALL * calls


def recommended_limit(calls: int) -> int:
    """Open file limit to set for a number of calls, at least `LIMIT`."""
    return max(LIMIT, needed_limit(calls))


def drop_in_text(calls: int) -> str:
    """Text of a systemd drop-in that raises the open file limit for a number of calls."""
    return f"[Service]\nLimitNOFILE={recommended_limit(calls)}\n"


def drop_in_path(unit: str, units: Path) -> Path:
    return units / f"{unit}.d" / DROP_IN


def judge(limit: int | None, calls: int, unit: str | None) -> Finding:
    """Check that Asterisk can open enough files for its calls.

    `limit` is the running Asterisk's limit, or None if its process was not found. `unit` is its systemd unit.
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
