from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.ledger.disclosure.packs import Files, pack_of
from lab.ledger.sample_evidence import evidence, url_of
from lab.ledger.sample_ledger import open_reader, write
from lab.ledger_copies import copy_ledger


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits for more steps, for room, and for files of another process."""
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.LINGER_S", 0.01)
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.RETRY_S", 0.05)
    monkeypatch.setattr("idtone.ledger.disclosure.record_act.LOOK_EVERY_S", 0.02)


@pytest.fixture(params=["wal", "persist"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """SQLite's journal mode: both modes in turn, whatever the version of SQLite."""
    monkeypatch.setattr(sqlite, "journal_mode", lambda: request.param)
    return request.param


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Path of a ledger's file in a separate directory, both of which do not exist yet."""
    return tmp_path / "ledger" / "ledger.sqlite3"


@pytest.fixture(scope="session")
def evidence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger of `evidence()` and its keys; tests work on copies."""
    folder = tmp_path_factory.mktemp("evidence")
    write(url_of(folder / "ledger.sqlite3"), evidence())
    return folder


@pytest.fixture
def filled(file: Path, evidence_folder: Path) -> str:
    """The URL of a ledger of `evidence()`."""
    copy_ledger(evidence_folder, file.parent)
    return url_of(file)


@pytest.fixture(scope="session")
def pack(evidence_folder: Path) -> Files:
    return pack_of(evidence_folder)


@pytest.fixture
def files(pack: Files) -> Files:
    """The files of a pack, which a test may change."""
    return dict(pack)


@pytest.fixture
def url(file: Path) -> str:
    return url_of(file)


@pytest.fixture(params=["sqlite", "postgresql"])
def reading(request: pytest.FixtureRequest) -> Callable[..., LedgerReader]:
    """Function that opens a reader of a ledger or of its replica."""
    return partial(open_reader, server=request.getfixturevalue("server") if request.param == "postgresql" else None)
