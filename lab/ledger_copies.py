"""Copies of ledgers that count as the original. A test works on the copy, and nothing signs in the original any
more.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idtone.ledger.store.meta import HOME


def copy_ledger(source: Path, folder: Path) -> None:
    """Copy a folder of ledgers, so that a service may write the copies. A ledger otherwise refuses to be a copy."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    forget_home(folder)


def use_copy(source: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a ledger with its keys to `file` and its folder. The settings name that file."""
    copy_ledger(source, file.parent)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(file.with_name("key")))
    monkeypatch.setenv("IDTONE_LEDGER_URL", f"sqlite:///{file}")
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")


def forget_home(folder: Path) -> None:
    """Make the ledgers in a folder forget their original file."""
    for path in folder.rglob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'macs'").fetchall():
                connection.execute("DELETE FROM meta WHERE key = ?", (HOME,))
