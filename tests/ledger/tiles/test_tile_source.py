"""Verifying tiles from a web server, and from servers that misbehave."""

import gzip
import time
from http import HTTPStatus
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.ledger.tiles import tile_source
from idtone.ledger.tiles.tile_source import TileSite
from lab.ledger.commands.run_ledger import json_output
from lab.ledger.sample_evidence import LOG
from lab.registry.trust.begun_association import certificate
from lab.registry.trust.publication_server import QuietHandler, TileServer, serve_https

__all__ = ["certificate"]
LIMIT = 1000


@pytest.fixture(autouse=True)
def trusted(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HOME", str(tmp_path))


class Misbehaving(QuietHandler):
    """A server that misbehaves according to the requested path.

    It compresses every uncompressed file, and expands every compressed file.
    """

    busy = 1

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if name == "busy":
            type(self).busy -= 1
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE if type(self).busy >= 0 else HTTPStatus.OK)
        elif name == "moved":
            self.answer(HTTPStatus.FOUND, Location="https://elsewhere.example/")
        elif name == "gone":
            self.answer(HTTPStatus.GONE)
        elif name == "forbidden":
            self.answer(HTTPStatus.FORBIDDEN)
        elif name == "private":
            known = self.headers["Authorization"] == "Basic YXVkaXRvcjpzZWNyZXQ="
            self.answer(HTTPStatus.OK if known else HTTPStatus.UNAUTHORIZED)
        elif name == "large":
            self.answer(HTTPStatus.OK, bytes(LIMIT + 1))
        elif name == "bomb":
            self.answer(HTTPStatus.OK, gzip.compress(bytes(10**7)), **{"Content-Encoding": "gzip"})
        elif name == "trickles":
            self.answer(HTTPStatus.OK, b"", **{"Content-Length": "100"})
            for _ in range(30):
                self.wfile.write(b"a")
                time.sleep(0.1)
        elif "/tile/entries/" in name:
            self.answer(HTTPStatus.OK, gzip.decompress(Path(self.directory, name).read_bytes()))
        elif (file := Path(self.directory, name)).is_file():
            self.answer(HTTPStatus.OK, gzip.compress(file.read_bytes()), **{"Content-Encoding": "gzip"})
        else:
            self.answer(HTTPStatus.NOT_FOUND)

    def answer(self, status: HTTPStatus, body: bytes = b"yes", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("handler", [TileServer, Misbehaving])
def test_a_ledger_is_verified_over_https(ledger, tmp_path, certificate, handler):
    json_output("log tiles", tmp_path / "out")
    with serve_https(tmp_path / "out", certificate, handler) as address:
        place = f"{address}/pbx-1/idtone/"
        assert json_output("verify tiles", place, "--log-key", LOG)["good"]
        (tmp_path / "out/pbx-1/idtone/tile/0/000").unlink()
        assert json_output("verify tiles", place, "--log-key", LOG)["faults"] == ["tile/0/000 is missing"]
        with pytest.raises(LedgerError, match="there is no file checkpoint"):
            json_output("verify tiles", f"{address}/pbx-1", "--log-key", LOG)


def test_a_server_that_does_not_say_what_is_compressed_is_named(ledger, tmp_path, certificate):
    json_output("log tiles", tmp_path / "out")
    with (
        serve_https(tmp_path / "out", certificate, QuietHandler) as address,
        pytest.raises(LedgerError, match=r"tile/entries/000: the web server has to send it with `Content-Encoding"),
    ):
        json_output("verify tiles", f"{address}/pbx-1/idtone", "--log-key", LOG)


def test_a_server_that_misbehaves_is_read_to_a_limit(tmp_path, certificate, monkeypatch):
    with serve_https(tmp_path, certificate, Misbehaving) as address:
        site = TileSite(address)
        assert site.read("busy", LIMIT) == b"yes"
        assert site.read("gone", LIMIT) is site.read("missing", LIMIT) is None
        for name in ("large", "bomb"):
            with pytest.raises(ProofError, match=f"{name} is larger than 1000 bytes"):
                site.read(name, LIMIT)
        for name, fault in (
            ("moved", "HTTP status 302; use the address to which it redirects"),
            ("forbidden", "HTTP status 403$"),
            ("private", "HTTP status 401; write your user and password into ~/.netrc"),
        ):
            with pytest.raises(LedgerError, match=fault):
                site.read(name, LIMIT)
        with monkeypatch.context() as hasty:
            hasty.setattr(tile_source, "SILENCE_S", 0.3)
            hasty.setattr(tile_source, "FILE_S", 0.6)
            with pytest.raises(LedgerError, match=r"a file takes longer than 0\.6 s|timed out"):
                site.read("trickles", LIMIT)
        secret = tmp_path / ".netrc"
        secret.write_text("machine 127.0.0.1 login auditor password secret\n")
        secret.chmod(0o600)
        assert TileSite(address).read("private", LIMIT) == b"yes"
        secret.write_text("machine\n")
        with pytest.raises(UsageError, match="netrc cannot be read"):
            TileSite(address)
        secret.unlink()
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(LedgerError, match=r"checkpoint: cannot be read: .*certificate"):
            TileSite(address).read("checkpoint", LIMIT)
    with pytest.raises(LedgerError, match="cannot be read"):
        TileSite("https://127.0.0.1:1").read("checkpoint", LIMIT)
