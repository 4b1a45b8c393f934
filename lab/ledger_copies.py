"""Copies of ledgers that count as the original: a test begins with one, and nothing signs the other one any more."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from idtone.ledger.store.meta import HOME


def copied(source: Path, folder: Path) -> None:
    """Copy a folder; its ledgers are at home in the copy."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    at_home(folder)


def at_home(folder: Path) -> None:
    """The ledgers in a folder forget in which file they were made."""
    for path in folder.rglob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'macs'").fetchall():
                connection.execute("DELETE FROM meta WHERE key = ?", (HOME,))
