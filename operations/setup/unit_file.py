"""Adapts the shipped systemd units to a machine."""

import re
from pathlib import Path


def unit_file(shipped: str, program: Path, config: Path, user: str, group: str, writable: Path) -> str:
    """The text of a shipped systemd unit with a machine's program, settings, user, group and writable folder.

    idtone's other programs must be next to `program`.
    """
    option = "" if config == Path("/etc/idtone/idtone.yaml") else f" -c {unit_word(config).replace('$', '$$')}"

    def command(found: re.Match[str]) -> str:
        takes_settings = "%i" not in found[3]  # a mail about a unit needs none
        return f"{found[1]}={program.with_name(found[2])}{found[3]}{option if takes_settings else ''}"

    shipped, count = re.subn(r"^(Exec\w+)=\S+/(idtone[a-z-]*)(.*)$", command, shipped, flags=re.MULTILINE)
    assert count, "a unit that runs no command of idtone"
    for name, value in (
        (r"^User=.*$", f"User={_literal(user)}"),
        (r"^Group=.*$", f"Group={_literal(group)}"),
        (r"^ReadWritePaths=\S+", f"ReadWritePaths={_literal(unit_word(f'-{writable}'))}"),
    ):
        shipped, count = re.subn(name, value, shipped, flags=re.MULTILINE)
        assert count <= 1, name
    return shipped


def unit_word(text: object) -> str:
    """A text as one word of a unit's line, for systemd's quoting and specifiers."""
    word = str(text).replace("%", "%%")
    if not re.search(r"[\s\"'\\]", word):
        return word
    return '"' + word.replace("\\", r"\\").replace('"', r"\"") + '"'


def _literal(text: object) -> str:
    """A text as a replacement of `re.sub`."""
    return str(text).replace("\\", r"\\")
