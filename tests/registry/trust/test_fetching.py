"""Where what is published comes from: folders and servers that misbehave."""

from __future__ import annotations

import functools
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from idtone.errors import TrustError
from idtone.registry.trust import layout
from idtone.registry.trust.client import Repository
from idtone.registry.trust.fetching import Bounded, FolderFetcher, base_url, fetcher

from .association import Association, Machine


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, by itself; with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(association: Association, certificate: Path) -> Iterator[str]:
    """What is published, over HTTPS."""
    handler = functools.partial(Quiet, directory=str(association.desk.repository))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_over_https(
    association: Association, server: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(association, tmp_path / "machine")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    published = Repository(machine.trust, server, machine.cache).update()
    assert published.read(layout.REGISTRY_FILE) == (association.folder / layout.REGISTRY_FILE).read_text()


def test_a_server_that_nobody_vouches_for(association: Association, server: str, tmp_path: Path) -> None:
    machine = Machine(association, tmp_path / "machine")
    with pytest.raises(TrustError, match="cannot be read"):
        Repository(machine.trust, server, machine.cache).update()


def test_a_server_that_is_not_there(association: Association, tmp_path: Path) -> None:
    machine = Machine(association, tmp_path / "machine")
    with pytest.raises(TrustError, match="cannot be read"):
        Repository(machine.trust, "https://127.0.0.1:1", machine.cache).update()


def test_a_folder_ends_at_its_border(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "secret")
    folder = FolderFetcher(tmp_path / "in")
    for name in ("../secret", "%2e%2e/secret", "out"):
        with pytest.raises(DownloadHTTPError):
            folder.download_bytes(f"{base_url(str(tmp_path / 'in'))}/{name}", 100)


def test_a_folder_with_a_space_and_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    (folder / "x").write_bytes(b"1")
    assert fetcher(str(folder)).download_bytes(f"{base_url(str(folder))}/x", 100) == b"1"


class Trickle(FetcherInterface):
    def _fetch(self, url: str) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"."


def test_what_trickles_is_not_waited_for() -> None:
    with pytest.raises(SlowRetrievalError):
        Bounded(Trickle(), 0.05).download_bytes("x", 10_000)


def test_what_has_no_end_is_cut_off() -> None:
    with pytest.raises(DownloadError, match="exceeding"):
        Bounded(Trickle()).download_bytes("x", 3)
