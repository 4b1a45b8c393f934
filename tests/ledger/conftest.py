from __future__ import annotations

from pathlib import Path

import pytest

from idtone.ledger import sqlite

from .evidence import url_of


@pytest.fixture(params=["wal", "persist"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both journals, whichever this SQLite would get."""
    monkeypatch.setattr(sqlite, "journal_mode", lambda: request.param)
    return request.param


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger's file in a directory of its own; neither exists yet."""
    return tmp_path / "ledger" / "ledger.sqlite3"


@pytest.fixture
def url(file: Path) -> str:
    return url_of(file)
