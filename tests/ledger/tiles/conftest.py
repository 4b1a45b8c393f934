"""A node whose ledger is published, as its keeper has it."""

from pathlib import Path

import pytest

from lab.ledger.replication.nodes import made_nodes, untouched  # noqa: F401  fixtures
from lab.ledger.sample_evidence import KEY, SEED, evidence, url_of
from lab.ledger.sample_ledger import write
from lab.ledger_copies import copied

CALLS = 220
"""They have 275 leaves: more than a full tile."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write(url_of(folder / "ledger.sqlite3"), evidence(CALLS))
    for name, octets in (("key", KEY), ("key.sign", SEED)):
        (folder / name).write_bytes(octets)
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture
def ledger(file: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its file, which the settings name."""
    copied(made, file.parent)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(file.with_name("key")))
    monkeypatch.setenv("IDTONE_LEDGER_URL", url_of(file))
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")
    return file
