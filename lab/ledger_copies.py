"""Copies of ledgers that count as the original: a test begins with one, and nothing signs the other one any more."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idtone.ledger.store.meta import HOME


def copied(source: Path, folder: Path) -> None:
    """Copy a folder; its ledgers are at home in the copy."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    at_home(folder)


def use_copy(source: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a ledger with its keys to the folder of this file, which the settings name."""
    copied(source, file.parent)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(file.with_name("key")))
    monkeypatch.setenv("IDTONE_LEDGER_URL", f"sqlite:///{file}")
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")


def at_home(folder: Path) -> None:
    """The ledgers in a folder forget in which file they were made."""
    for path in folder.rglob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'macs'").fetchall():
                connection.execute("DELETE FROM meta WHERE key = ?", (HOME,))
