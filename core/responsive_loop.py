"""Settings that keep an event loop responsive while other threads compute and garbage is collected."""

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.001
"""Thread switch interval in seconds. Python's default of 5 ms is half of the delay permitted per call."""


def prefer_event_loop(switch_s: float = SWITCH_S) -> None:
    """Make computing threads yield to the event loop after `switch_s` seconds, then call `freeze_garbage`."""
    sys.setswitchinterval(switch_s)
    freeze_garbage()


def freeze_garbage() -> None:
    """Exempt all existing objects from garbage collection.

    A collection stops all threads and takes 0.1 s for the imported modules alone.
    """
    gc.collect()
    gc.freeze()


def freeze_garbage_again() -> None:
    """Collect garbage among the exempt objects, then exempt the remaining ones again."""
    gc.unfreeze()
    freeze_garbage()
