"""The systemd unit of the service, for this machine. Pure."""

from __future__ import annotations

import re
from pathlib import Path


def unit_file(shipped: str, program: Path, config: Path, user: str, group: str, writable: Path) -> str:
    """The shipped unit with this machine's program, settings, user, group and folder of the sounds."""
    option = "" if config == Path("/etc/idtone/idtone.yaml") else f" -c {config}"
    for name, value in {
        r"ExecStart=\S+ serve$": f"ExecStart={program} serve{option}",
        r"ExecReload=\S+ serve --check$": f"ExecReload={program} serve --check{option}",
        r"User=.*$": f"User={user}",
        r"Group=.*$": f"Group={group}",
        r"ReadWritePaths=.*$": f"ReadWritePaths=-{writable}",
    }.items():
        shipped, count = re.subn(f"^{name}", value.replace("\\", r"\\"), shipped, flags=re.MULTILINE)
        assert count == 1, name
    return shipped
