"""A log that publishes its tiles over HTTPS, its witness over HTTP, and a monitor, all on 127.0.0.1."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ledger.monitor.watched_log import World, witnessing
from lab.ledger.sample_evidence import at
from lab.registry.trust.begun_association import certificate
from lab.registry.trust.publication_server import TileServer, over_https

__all__ = ["certificate"]


@pytest.fixture
def world(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "out").mkdir()
    made = World(tmp_path)

    def clock_s() -> float:
        return at(made.witness_ms).timestamp()

    with (
        over_https(tmp_path / "out", certificate, TileServer) as made.place,
        witnessing(tmp_path / "witness", clock_s) as made.witness,
    ):
        yield made
