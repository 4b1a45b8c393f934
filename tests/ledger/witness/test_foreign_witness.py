"""Sigsum's witness cosigns idtone's log, and idtone's witness cosigns a log by sigsum's client. Both are Debian's
unchanged packages.
"""

import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Algorithm, VerifierKey, cosigned_at
from idtone.ledger.keys.key_ring import KeyRing, cosigned_note
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.asterisk import free_ports
from lab.ledger.sample_evidence import heard_call, wait_until, write_each
from lab.ledger.witness.witness_server import running_witness_in_thread
from lab.repository import ROOT
from lab.tile_client import go_program
from lab.unpacked_packages import command, unpacked_tree

pytestmark = pytest.mark.nightly

SEED = bytes(range(32))
CLIENT = ROOT / "lab/ledger/witness/client/main.go"
PACKAGES = ("golang-go", "golang-sigsum-sigsum-go-dev", "golang-golang-x-net-dev", "golang-golang-x-text-dev")
WITHOUT = ("gcc-*", "libc-bin", "libc6*", "libcrypt*", "libgcc-*", "perl*", "media-types")
"""Packages that a program in Go alone does not need."""


def openssh(public: bytes) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" log\n"


@contextmanager
def sigsum(folder: Path, log: bytes) -> Iterator[str]:
    """Run sigsum's witness for a log during the block; yields its entry in `ledger.witnesses`."""
    own = Ed25519PrivateKey.from_private_bytes(SEED)
    (folder / "log.pub").write_bytes(openssh(log))
    (folder / "witness").write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (folder / "witness").chmod(0o600)
    [port] = free_ports(1)
    place = f"127.0.0.1:{port}"
    words = ["-k", folder / "witness", "--log-key", folder / "log.pub", "--state-file", folder / "state", place]
    # Go reads `POST /add-checkpoint` as a host and a path unless it is told that it is newer than 1.21.
    environment = {**os.environ, "GODEBUG": "httpmuxgo121=0"}
    program = [*command(unpacked_tree("sigsum-go"), "usr/bin/sigsum-witness"), *map(str, words)]
    process = subprocess.Popen(program, env=environment)
    try:
        wait_until(lambda: answers(place))
        public = own.public_key().public_bytes_raw()
        name = f"sigsum.org/v1/witness/{hashlib.sha256(public).hexdigest()}"
        yield f"http://{place} {VerifierKey(name, Algorithm.COSIGNATURE, public)}"
    finally:
        process.terminate()
        process.wait(60)


def answers(place: str) -> bool:
    host, port = place.split(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


async def test_sigsums_witness_cosigns_our_log_as_it_grows_and_after_a_restart(tmp_path):
    """Sigsum requires a log that is named after its key (`ledger.origin`)."""
    named = {"url": f"sqlite:///{tmp_path}/l.sqlite3", "key_file": tmp_path / "key"}
    public = KeyRing.of(LedgerSettings(**named), "pbx-1").signer.key.public
    settings = LedgerSettings(**named, origin=f"sigsum.org/v1/tree/{hashlib.sha256(public).hexdigest()}")
    sizes = []
    with sigsum(tmp_path, public) as witness:
        key = VerifierKey.parse(witness.partition(" ")[2])
        for call in ("c-1", "c-2", "c-3"):
            ring = KeyRing.of(settings, "pbx-1")
            # Each is a restarted service: it does not know what the witness has cosigned, and learns it by 409.
            with LedgerWriter.open(settings.url, "pbx-1", ring) as writer:
                write_each(writer, *heard_call(call))
                async with aiohttp.ClientSession() as session:
                    cosigning = Cosigning(writer, ring, [witness], 60)
                    await cosigning.ask(session)
                    assert not cosigning.witnesses[0].trouble
            note = cosigned_note(settings, "pbx-1", None)
            assert note
            assert note.signed_by([key]) == (key,)
            assert cosigned_at(next(line for line in note.signatures if line.name == key.name)) > 1_700_000_000
            sizes.append(Checkpoint.parse(note.text).size)
    assert sizes == [1, 2, 3]


def test_our_witness_cosigns_a_log_by_sigsums_client(tmp_path):
    """The client learns the cosigned tree from the status 409.

    The witness refuses a tree that does not continue the cosigned tree.
    """
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    log = VerifierKey(f"sigsum.org/v1/tree/{hashlib.sha256(public).hexdigest()}", Algorithm.ED25519, public)
    client = go_program("sigsum-client", CLIENT, PACKAGES, WITHOUT)
    with running_witness_in_thread(tmp_path, log) as witness:
        url, _, key = witness.partition(" ")

        def told(*sizes: str) -> list[str]:
            asked = [client, url, SEED.hex(), VerifierKey.parse(key).public.hex(), *sizes]
            environment = {"no_proxy": "127.0.0.1"}
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True, env=environment)
            # Without the times, which the client has verified.
            return [re.sub("^([0-9]+) [0-9]{10}$", r"\1", line) for line in done.stdout.splitlines()]

        assert told("1", "3", "3", "200") == ["1", "3", "3", "200"]
        assert told("300") == ["conflict 200", "300"]
        assert told("300", "400!", "400", "400!") == [
            "conflict 300",
            "300",
            "refused 400",
            "400",
            "conflict 400",
            "refused 400",
        ]
