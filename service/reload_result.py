"""Reports the result of a reload to `ExecReload=` of the unit, in a file in the service's runtime directory.

The command in the unit knows the process that it has asked to reload, and waits for a file that begins with the id of
that process. So it does not need D-Bus, as `systemctl` would, or a time limit for a failure.
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
    """Write the result of the reload that this process was asked for. Does nothing without a runtime directory from
    systemd.
    """
    if folder := environment.get("RUNTIME_DIRECTORY"):
        try:
            replace_durably(Path(folder, _NAME), f"{os.getpid()} {result}\n".encode())
        except OSError as error:
            log.error("`systemctl reload` cannot be told its result: %s: %s", folder, error.strerror)
