"""Keeps an event loop responsive beside threads that compute and beside the garbage collector."""

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.001
"""Python's default is 5 ms, half of a call's permitted delay."""


def loop_first(switch_s: float = SWITCH_S) -> None:
    """A thread that computes leaves Python to the event loop after this time; and `spare_present_objects`."""
    sys.setswitchinterval(switch_s)
    spare_present_objects()


def spare_present_objects() -> None:
    """The garbage collector no longer scans the objects that exist now. A scan stops all threads: of the modules alone
    it takes 0.1 s.
    """
    gc.collect()
    gc.freeze()


def spare_anew() -> None:
    """The same, without what was spared before and is garbage now."""
    gc.unfreeze()
    spare_present_objects()
