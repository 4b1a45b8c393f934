"""A node with a published ledger, on the node's own machine."""

from pathlib import Path

import pytest

from lab.ledger.replication.nodes import made_nodes, untouched  # noqa: F401  fixtures
from lab.ledger.sample_evidence import evidence, url_of
from lab.ledger.sample_ledger import write, write_keys
from lab.ledger_copies import use_copy

CALLS = 220
"""Number of calls; they have 275 leaves, which is more than a full tile."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write(url_of(folder / "ledger.sqlite3"), evidence(CALLS))
    write_keys(folder)
    return folder


@pytest.fixture
def ledger(file: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger's file that the settings name."""
    use_copy(made, file, monkeypatch)
    return file
