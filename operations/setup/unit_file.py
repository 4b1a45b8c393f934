"""The systemd units of the service and of the registry's update, for this machine. Pure."""

from __future__ import annotations

import re
from pathlib import Path


def unit_file(shipped: str, program: Path, config: Path, user: str, group: str, writable: Path) -> str:
    """A shipped unit with this machine's program, settings, user, group and folder of the sounds."""
    option = "" if config == Path("/etc/idtone/idtone.yaml") else f" -c {config}"
    for name, value, times in (
        (r"^(Exec\w+)=\S+/idtone (.*)$", rf"\1={_literal(program)} \2{_literal(option)}", None),
        (r"^User=.*$", f"User={_literal(user)}", 1),
        (r"^Group=.*$", f"Group={_literal(group)}", 1),
        (r"^ReadWritePaths=\S+", f"ReadWritePaths=-{_literal(writable)}", 1),
    ):
        shipped, count = re.subn(name, value, shipped, flags=re.MULTILINE)
        assert count == times or (times is None and count), name
    return shipped


def _literal(text: object) -> str:
    return str(text).replace("\\", r"\\")
