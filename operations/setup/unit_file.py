"""Adapts the shipped systemd units to a machine."""

import re
from pathlib import Path


def unit_file(shipped: str, program: Path, config: Path, user: str, group: str, writable: Path) -> str:
    """The text of a shipped systemd unit with a machine's program, settings, user, group and writable folder.

    idtone's other programs must be next to `program`.
    """
    option = "" if config == Path("/etc/idtone/idtone.yaml") else f" -c {config}"

    def command(found: re.Match[str]) -> str:
        takes_settings = "%i" not in found[3]  # a mail about a unit needs none
        return f"{found[1]}={program.with_name(found[2])}{found[3]}{option if takes_settings else ''}"

    shipped, count = re.subn(r"^(Exec\w+)=\S+/(idtone[a-z-]*)(.*)$", command, shipped, flags=re.MULTILINE)
    assert count, "a unit that runs no command of idtone"
    for name, value in (
        (r"^User=.*$", f"User={_literal(user)}"),
        (r"^Group=.*$", f"Group={_literal(group)}"),
        (r"^ReadWritePaths=\S+", f"ReadWritePaths=-{_literal(writable)}"),
    ):
        shipped, count = re.subn(name, value, shipped, flags=re.MULTILINE)
        assert count <= 1, name
    return shipped


def _literal(text: object) -> str:
    return str(text).replace("\\", r"\\")
