"""Keeps an event loop responsive despite computing threads and the garbage collector."""

from __future__ import annotations

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.001
"""Switch interval of threads in seconds. Python's default of 5 ms is half of a call's permitted delay."""


def loop_first(switch_s: float = SWITCH_S) -> None:
    """Let a computing thread give way to the event loop after this time, and call `spare_present_objects`."""
    sys.setswitchinterval(switch_s)
    spare_present_objects()


def spare_present_objects() -> None:
    """Exempt the current objects from garbage collection. A scan stops all threads: a scan of the modules alone takes
    0.1 s.
    """
    gc.collect()
    gc.freeze()


def spare_anew() -> None:
    """Free the objects that have become garbage since the last time, and exempt the others from garbage collection
    again.
    """
    gc.unfreeze()
    spare_present_objects()
