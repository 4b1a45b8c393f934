"""Copies of ledgers that idtone treats as originals.

Tests work on the copies, and no test signs in the original any more.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idtone.ledger.store.meta import HOME


def copy_ledger(source: Path, folder: Path) -> None:
    """Copy a folder of ledgers in such a way that a service may write to the copies.

    A ledger normally refuses to be used as a copy.
    """
    shutil.copytree(source, folder, dirs_exist_ok=True)
    forget_home(folder)


def use_copy(source: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a ledger with its keys to `file` and its folder, and make the settings name `file`."""
    copy_ledger(source, file.parent)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(file.with_name("key")))
    monkeypatch.setenv("IDTONE_LEDGER_URL", f"sqlite:///{file}")
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")


def forget_home(folder: Path) -> None:
    """Remove the path of the original file from the ledgers in a folder."""
    for path in folder.rglob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'macs'").fetchall():
                connection.execute("DELETE FROM meta WHERE key = ?", (HOME,))
