"""Fetching files from folders, and from servers that misbehave."""

import contextlib
import os
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from idtone.core.errors import TrustError
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.fetchers import Bounded, Deadline, FolderFetcher, base_url, fetcher
from idtone.registry.trust.publication_client import PublicationClient
from lab.ledger.sample_evidence import wait_until
from lab.registry.trust.association import Association
from lab.registry.trust.publication_server import serve_https


@pytest.fixture
def server(association: Association, certificate: Path) -> Iterator[str]:
    """Address of a server with the association's publication."""
    with serve_https(association.repository, certificate) as address:
        yield address


def test_over_https(association, server, certificate, machine, monkeypatch):
    for source in (server, "https://127.0.0.1:1"):  # an untrusted certificate, and no server
        with pytest.raises(TrustError, match="cannot be read"):
            PublicationClient(machine.trust, source, machine.cache).update()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    published = PublicationClient(machine.trust, server, machine.cache).update()
    assert published.read(tuf_roles.REGISTRY_FILE) == (association.folder / tuf_roles.REGISTRY_FILE).read_text()


def test_a_folder_gives_its_own_files_alone(tmp_path):
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    (folder / "x").write_bytes(b"1")
    (tmp_path / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "timestamp.json")
    base = base_url(str(folder))
    assert fetcher(str(folder), Deadline()).download_bytes(f"{base}/x", 100) == b"1"
    for name in ("../secret", "%2e%2e/secret", "out"):
        with pytest.raises(DownloadHTTPError):
            FolderFetcher(folder).download_bytes(f"{base}/{name}", 100)
    with pytest.raises(DownloadError, match=r"timestamp\.json is not a regular file"):
        FolderFetcher(folder).download_bytes(f"{base}/timestamp.json", 100)


class Trickle(FetcherInterface):
    def _fetch(self, url: str) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"."


def test_a_slow_source_is_stopped_at_the_deadline_and_an_endless_one_cut_off():
    deadline = Deadline()
    deadline.within(0.05)
    with pytest.raises(SlowRetrievalError, match=r"longer than 0\.05 s"):
        Bounded(Trickle(), deadline).download_bytes("x", 10_000)
    with pytest.raises(DownloadError, match="exceeding"):
        Bounded(Trickle(), Deadline()).download_bytes("x", 3)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
WITHIN_S = 0.6
"""The time limit `LOOK_S` in these tests."""


def swallows(line: socket.socket) -> None:
    line.recv(1)
    while line.recv(65_536):
        pass


def trickles_in_the_head(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nX-Padding: ")
    while True:
        line.sendall(b"x")
        time.sleep(0.05)


def trickles_in_the_body(line: socket.socket) -> None:
    line.sendall(HEAD % 8_000)
    while True:
        line.sendall(b" ")
        time.sleep(0.05)


def stops_in_the_body(line: socket.socket) -> None:
    line.sendall(HEAD % 8_000 + b"{")
    swallows(line)


def breaks_off(line: socket.socket) -> None:
    line.sendall(HEAD % 8_000 + b"{")


def goes(line: socket.socket) -> None:
    pass


def answers(status: str, *head: str) -> Callable[[socket.socket], None]:
    octets = "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *head, "", ""]).encode()
    return lambda line: line.sendall(octets)


class Server(socketserver.ThreadingTCPServer):
    """A server whose n-th behaviour handles the n-th connection, with or without TLS. The last one handles all later
    connections.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None, *acts: Callable[[socket.socket], None]) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._context, self._acts = context, acts
        self.asked = 0
        self.source = f"https://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def finish_request(self, request: socket.socket, _: object) -> None:
        act = self._acts[min(self.asked, len(self._acts) - 1)]
        self.asked += 1
        with contextlib.suppress(OSError):  # the client has gone, as it should
            if self._context:
                request = self._context.wrap_socket(request, server_side=True)
            with request:
                if self._context:
                    request.recv(65_536)
                act(request)

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def serving(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers: list[Server] = []

    def serve(*acts: Callable[[socket.socket], None], tls: bool = True) -> Server:
        servers.append(Server(context if tls else None, *acts))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


MISBEHAVING = {
    # what the server does, with TLS or not, how often it is asked at most
    "swallows before TLS": (swallows, False, 3),
    "swallows": (swallows, True, 3),
    "trickles in the head": (trickles_in_the_head, True, 1),
    "trickles in the body": (trickles_in_the_body, True, 1),
    "stops in the body": (stops_in_the_body, True, 1),
    "breaks off": (breaks_off, True, 1),
    "goes": (goes, True, 3),
    "is busy": (answers("503 Busy"), True, 3),
    "has nothing": (answers("404 Not Found"), True, 2),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_request_ends_at_the_deadline(machine, serving, name, monkeypatch):
    monkeypatch.setattr("idtone.registry.trust.publication_client.LOOK_S", WITHIN_S)
    monkeypatch.setattr("idtone.registry.trust.fetchers.SILENCE_S", 0.3)
    act, tls, tries = MISBEHAVING[name]
    server = serving(act, tls=tls)
    began_s = time.monotonic()
    with pytest.raises(TrustError, match="cannot be read"):
        PublicationClient(machine.trust, server.source, machine.cache).update()
    assert time.monotonic() - began_s < WITHIN_S + 60, "however slow the machine is"
    wait_until(lambda: server.asked)  # its thread may take the connection after we gave it up
    assert server.asked <= tries


def test_a_busy_server_is_asked_again(serving):
    def good(line: socket.socket) -> None:
        line.sendall(HEAD % 2 + b"{}")

    server = serving(answers("503 Busy"), goes, good)
    deadline = Deadline()
    deadline.within(30.0)
    assert fetcher(server.source, deadline).download_bytes(f"{server.source}/x", 100) == b"{}"
    assert server.asked == 3


def test_redirects_are_not_followed(machine, serving):
    server = serving(answers("301 Moved", "Location: http://127.0.0.1:1/"))
    with pytest.raises(TrustError, match="HTTP status 301; use the address to which it redirects"):
        PublicationClient(machine.trust, server.source, machine.cache).update()


def test_the_proxy_of_the_environment_is_used(machine, serving, monkeypatch):
    proxy = serving(answers("403 Forbidden"), tls=False)
    monkeypatch.setenv("https_proxy", proxy.source.replace("https:", "http:"))
    with pytest.raises(TrustError, match="cannot be read"):
        PublicationClient(machine.trust, "https://registry.invalid", machine.cache).update()
    assert proxy.asked
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = serving(answers("404 Not Found"))
    with pytest.raises(TrustError, match="cannot be read"):
        PublicationClient(machine.trust, server.source, machine.cache).update()
    assert server.asked
