"""A client without any code of idtone reads and verifies a published ledger from a plain web server."""

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ledger.commands.run_ledger import json_output
from lab.ledger.sample_evidence import LOG, heard_call, url_of
from lab.ledger.sample_ledger import write
from lab.registry.trust.publication_server import TileServer
from lab.tile_client import tile_client


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of the ledger that is published from it."""
    out = tmp_path / "out"
    out.mkdir()
    serve = functools.partial(TileServer, directory=str(out))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield out, f"http://127.0.0.1:{running.server_address[1]}/pbx-1/idtone"
        running.shutdown()
        thread.join()


def test_another_client_reads_and_verifies_the_tiles(ledger, site):
    program, (out, address) = tile_client(), site

    def client(key: object = LOG) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, address, str(key)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"no_proxy": "127.0.0.1"},
        )

    json_output("log tiles", out)
    assert client().stdout == "275\n"
    write(url_of(ledger), *(heard_call(f"later-{number}", 10_000_000 + 1000 * number) for number in range(300)))
    json_output("log tiles", out)
    assert client().stdout == "575\n"
    folder = out / "pbx-1/idtone"
    wanted = [
        "checkpoint",
        "tile/0/001",
        "tile/0/002.p/63",
        "tile/1/000.p/2",
        "tile/entries/001",
        "tile/entries/002.p/63",
    ]
    for name in wanted:
        path = folder / name
        octets = path.read_bytes()
        path.write_bytes(octets[:30] + bytes([octets[30] ^ 1]) + octets[31:])
        refused = client()
        assert (refused.returncode, refused.stdout) == (1, ""), name
        path.write_bytes(octets)
    assert client().returncode == 0
    assert client("pbx-1/idtone+00000000+AAAA").returncode == 1
