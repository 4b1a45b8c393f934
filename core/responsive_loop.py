"""Keeps an event loop responsive while other threads compute and garbage is collected."""

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.001
"""Switch interval of threads in seconds. Python's default of 5 ms is half of a call's permitted delay."""


def prefer_event_loop(switch_s: float = SWITCH_S) -> None:
    """Let a computing thread give way to the event loop after this time, and call `freeze_garbage`."""
    sys.setswitchinterval(switch_s)
    freeze_garbage()


def freeze_garbage() -> None:
    """Exempt the current objects from garbage collection. A scan stops all threads: a scan of the modules alone takes
    0.1 s.
    """
    gc.collect()
    gc.freeze()


def freeze_garbage_again() -> None:
    """Free the objects that have become garbage since the last time, and exempt the other objects again."""
    gc.unfreeze()
    freeze_garbage()
