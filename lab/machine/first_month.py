"""The acts of an operator's first month, and their commands on the pages."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.repository import ROOT

ENGLISH: Final = ROOT / "docs/how-to"
JAPANESE: Final = ROOT / "docs/ja/how-to"
_BLOCK: Final = re.compile(r"^<!-- (first day|(?:act|office): [\w-]+) -->\n```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Act:
    name: str
    page: str
    refused: tuple[str, ...] = ()
    """Beginnings of commands that end with 1 here because they report a fault."""


ACTS: Final = (
    Act("look", "upkeep.md"),
    Act("mail", "monitor.md"),
    Act("metrics", "monitor.md"),
    Act("settings", "upkeep.md"),
    Act("settings-back", "upkeep.md"),
    Act("retention", "upkeep.md"),
    Act("forget", "upkeep.md"),
    Act("password", "asterisk.md"),
    Act("host-name", "upkeep.md"),
    Act("time-zone", "upkeep.md"),
    Act("clock", "upkeep.md"),
    Act("log-rotation", "upkeep.md"),
    Act("stop", "upkeep.md"),
    Act("asterisk-restart", "upkeep.md"),
    Act("asterisk-upgrade", "upkeep.md"),
    Act("hook", "upkeep.md"),
    Act("evidence", "upkeep.md"),
    Act("disclosure", "evidence.md"),
    Act("registry", "upkeep.md"),
    Act("brake", "upkeep.md"),
    Act("fix", "upkeep.md", refused=("idtone doctor --fix",)),
    Act("hold", "keep-evidence.md"),
    Act("key", "log-keys.md"),
    Act("console", "console.md"),
    Act("certificate", "recurring.md"),
    Act("backup-key", "backup.md"),
    Act("backup", "backup.md"),
    Act("backup-drill", "backup.md"),
    Act("month-end", "recurring.md", refused=("idtone-office misuse scan",)),
)
"""Acts that any node can do at any time, in this order, on one node."""
LATER: Final = (
    Act("suspend", "suspensions.md"),
    Act("suspend-paper", "suspensions.md"),
    Act("suspend-lift", "suspensions.md"),
    Act("suspend-close", "suspensions.md"),
    Act("upgrade", "upgrade.md"),
    Act("back", "upgrade.md"),
    Act("disk-full", "upkeep.md"),
    Act("damaged", "damaged-evidence.md", refused=("idtone ledger verify",)),
    Act("ledger-move", "upgrade.md"),
    Act("remove", "upgrade.md"),
    Act("again", "upkeep.md"),
    Act("purge", "upgrade.md"),
    Act("restore", "backup.md", refused=("idtone setup",)),
)
"""Acts that require a failure first, or that end something."""
SECOND: Final = tuple(
    Act(f"second-{name}", "second-node.md") for name in ("database", "key", "name", "join", "look", "leave", "left")
)
"""Acts of a second node that joins, serves and leaves: `tests/packages/second_node.py`."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Marked blocks of a page in order, each as a pair of the mark and the commands."""
    return _BLOCK.findall(page.read_text("utf-8"))


def commands(mark: str, page: str) -> list[str]:
    """Commands on the Japanese page for the mark of an act, or for `first day`."""
    found = [line for name, block in blocks(JAPANESE / page) if name == mark for line in block.splitlines()]
    assert found, f"docs/ja/how-to/{page} has no commands for {mark}"
    return found
