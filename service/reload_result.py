"""Writes the result of a reload to a file for the unit's `ExecReload=` command.

The command knows which process it asked to reload and waits for a file that begins with that process's id. Unlike
`systemctl`, it therefore needs no D-Bus, and it needs no time limit to detect a failure.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from idtone.core.files import replace_durably

log = logging.getLogger(__name__)

HANDED_OVER: Final = "handed over"
FAILED: Final = "continues, because the next instance ended"
_NAME: Final = "reload"


def write_reload_result(result: str, environment: Mapping[str, str]) -> None:
    """Write the result of the reload that this process was asked for.

    Does nothing without a runtime directory from systemd.
    """
    if folder := environment.get("RUNTIME_DIRECTORY"):
        try:
            replace_durably(Path(folder, _NAME), f"{os.getpid()} {result}\n".encode())
        except OSError as error:
            log.error("`systemctl reload` cannot be told its result: %s: %s", folder, error.strerror)
