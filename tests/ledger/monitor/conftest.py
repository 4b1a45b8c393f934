"""A log that publishes its tiles over HTTPS, its witness over HTTP, and a monitor, all on 127.0.0.1."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ledger.monitor.watched_log import WatchedLogs, witness_in_thread
from lab.ledger.sample_evidence import time_after
from lab.registry.trust.begun_association import certificate
from lab.registry.trust.publication_server import TileServer, serve_https

__all__ = ["certificate"]


@pytest.fixture
def world(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedLogs]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "out").mkdir()
    made = WatchedLogs(tmp_path)

    def clock_s() -> float:
        return time_after(made.witness_ms).timestamp()

    with (
        serve_https(tmp_path / "out", certificate, TileServer) as made.place,
        witness_in_thread(tmp_path / "witness", clock_s) as made.witness,
    ):
        yield made
