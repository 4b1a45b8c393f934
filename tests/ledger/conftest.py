from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from idtone.ledger import sqlite
from idtone.ledger.day_keys import DayKeys
from idtone.ledger.postgresql import Server, schema_of
from idtone.ledger.reader import LedgerReader
from idtone.ledger.shipping import Link
from idtone.ledger.source import Source

from .evidence import LOG, custody_of, url_of


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


@pytest.fixture(params=["sqlite", "postgresql"])
def reading(request: pytest.FixtureRequest) -> Callable[..., LedgerReader]:
    """How what stands in a ledger is read: where it was written, and where it was shipped to."""

    def open_reader(url: str, days: DayKeys | None = None) -> LedgerReader:
        if request.param == "sqlite":
            return LedgerReader.open(url, days)
        server: Server = request.getfixturevalue("server")
        link = Link(server, Source.in_file(url), "pbx-1", lambda: LOG, custody_of(url).cosigned.path)
        while link.ship().behind:
            pass
        link.close()
        return LedgerReader(server.database(schema_of(LOG.name), "the copy"), days)

    return open_reader
