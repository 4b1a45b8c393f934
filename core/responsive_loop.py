"""Settings that keep an event loop responsive while other threads compute and garbage is collected."""

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.001
"""Switch interval of threads in seconds. Python's default of 5 ms is half of a call's permitted delay."""


def prefer_event_loop(switch_s: float = SWITCH_S) -> None:
    """Make computing threads yield to the event loop after `switch_s` seconds, and call `freeze_garbage`."""
    sys.setswitchinterval(switch_s)
    freeze_garbage()


def freeze_garbage() -> None:
    """Exempt all existing objects from garbage collection.

    A collection stops all threads, and takes 0.1 s for the imported modules alone.
    """
    gc.collect()
    gc.freeze()


def freeze_garbage_again() -> None:
    """Collect garbage among the exempt objects, and exempt the remaining objects again."""
    gc.unfreeze()
    freeze_garbage()
