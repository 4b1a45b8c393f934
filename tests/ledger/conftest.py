from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.store.sqlite import path_of
from idtone.settings import LedgerSettings

from .sample_evidence import LOG, SEED, url_of


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
    """How what stands in a ledger is read: where it was written, and where its replica is."""

    def open_reader(url: str, days: DayKeys | None = None) -> LedgerReader:
        if request.param == "sqlite":
            return LedgerReader.open(url, days)
        server: Server = request.getfixturevalue("server")
        spool = path_of(url)
        signing = spool.with_name("key.sign")
        signing.write_bytes(SEED)
        signing.chmod(0o600)
        connection = ReplicaConnection(
            LedgerSettings(url=server.url, password=server.password, spool=spool, key_file=spool.with_name("key")),
            "pbx-1",
        )
        while connection.replicate().behind:
            pass
        connection.close()
        return LedgerReader(server.database(schema_of(LOG.name), "the copy"), days)

    return open_reader
