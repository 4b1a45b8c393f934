"""Records the state of the machine's clock every hour, because the evidence takes its times from that clock."""

import asyncio
import ctypes
import logging
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError

from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.evidence import Evidence
from ..evidence.steps import Scalar

EVERY_S: Final = 3600.0
_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_CHRONYC: Final = ("chronyc", "-n", "-c", "tracking")
_WITHIN_S: Final = 2.0
_PLL, _UNSYNCHRONISED, _NANOSECONDS = 0x1, 0x40, 0x2000
"""Bits in `timex.status` (adjtimex(2))."""
_SECOND_US: Final = 1_000_000

_log = logging.getLogger(__name__)


class _Timex(ctypes.Structure):
    """The kernel's `struct timex`, with the fields that idtone reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


async def record_clock(evidence: Evidence, every_s: float = EVERY_S) -> None:
    """Record the state of the machine's clock every hour until cancelled, starting after one hour."""
    while True:
        await asyncio.sleep(every_s)
        found = await asyncio.to_thread(clock_status)
        try:
            await asyncio.wrap_future(evidence.append(steps.clock(new_act_id(), datetime.now(UTC), found)))
        except LedgerError as error:
            _log.error("what is known of the clock cannot be recorded: %s", error)


def clock_status(tracking: Callable[[], str] | None = None) -> dict[str, Scalar]:
    """State of the machine's clock, as reported by the kernel and chrony.

    Blocks for at most two seconds.
    """
    found = kernel_status()
    if text := (tracking or _chrony_tracking)():
        return found | chrony_status(text)
    return found | {"source": "systemd-timesyncd"} if _TIMESYNCD.exists() else found


def kernel_status() -> dict[str, Scalar]:
    """State of the machine's clock from adjtimex(2); empty if the system has no such call.

    Any user may read the state.
    """
    timex = _Timex()
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
            return {}
    except (OSError, AttributeError):
        return {}
    found: dict[str, Scalar] = {"synchronised": not timex.status & _UNSYNCHRONISED}
    if found["synchronised"]:
        found |= {"max_error_us": timex.maxerror, "estimated_error_us": timex.esterror}
        if timex.status & _PLL:
            found["offset_us"] = timex.offset // 1000 if timex.status & _NANOSECONDS else timex.offset
    return found


def _chrony_tracking() -> str:
    try:
        done = subprocess.run(  # noqa: S603 - of our own words
            _CHRONYC, capture_output=True, text=True, timeout=_WITHIN_S, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def chrony_status(text: str) -> dict[str, Scalar]:
    """Parse chrony's reference and offset from a line of `chronyc -c tracking`. Empty if they are missing."""
    fields = text.strip().split(",")
    try:
        name, stratum, offset_s = fields[1], int(fields[2]), float(fields[4])
        if fields[13] == "Not synchronised" or not name.isprintable():
            return {"source": "chrony"}
        return {"source": f"chrony {name[:100]} stratum {stratum}", "offset_us": round(offset_s * _SECOND_US)}
    except (IndexError, ValueError, OverflowError):
        return {}
