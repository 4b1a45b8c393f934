"""Keys in a hardware token: a real PKCS#11 library (SoftHSM), which never gives its keys away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..lab import packages
from .office import WHY

PIN = "987654"
MAKE_KEY = """
import os, pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(os.environ["PYKCS11LIB"]).get_token(token_label="duty")
with token.open(rw=True, user_pin=os.environ["IDTONE_PASSPHRASE"]) as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True).generate_keypair(store=True, id=b"\\x02")
"""


class Token:
    """Each command runs in its own process, because a PKCS#11 library keeps its first settings."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        root = packages.tree("softhsm2")
        library = root / "usr/lib/softhsm/libsofthsm2.so"
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}\nlog.level = ERROR\n")
        self.environment = {
            **os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf"), "PYKCS11LIB": str(library),
            "IDTONE_PASSPHRASE": PIN,
        }  # fmt: skip
        make = packages.command(root, "usr/bin/softhsm2-util")
        pins = ("--so-pin", PIN, "--pin", PIN)
        self._do([*make, "--module", str(library), "--init-token", "--free", "--label", "duty", *pins])
        self._do([sys.executable, "-c", MAKE_KEY])

    def _do(self, command: list[str]) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def idtone(self, *arguments: object, **environment: str) -> tuple[int, Any, str]:
        done = subprocess.run(
            [Path(sys.executable).with_name("idtone"), "authority", *map(str, arguments), "--json"],
            env=self.environment | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture
def token(tmp_path: Path) -> Token:
    return Token(tmp_path / "token")


def test_a_token_signs_beside_key_files(office, token, tmp_path):
    trust = ("--trust", office.root)
    key, public, package = "hsm:2?label=duty", tmp_path / "duty-3.pub", tmp_path / "package"
    code, told, error = token.idtone("key", key, "--public", public)
    assert (code, told["public"]) == (0, str(public)), error
    code, other, _ = office.run("key", office.key("duty-4"), "--json")
    new = ["--new", public, "--new", other["public"]]
    office.told("rotate", "duty", *new, *WHY, "--package", package)
    for name in ("root-1", "root-2", "duty-4"):
        office.run("sign", package, *office.keys(name), *trust, "--yes", "--json")
    assert "needs the signatures of 2 of its 2 duty keys" in office.refused("publish", "--package", package)
    code, signed, error = token.idtone("sign", package, "--key", key, *trust, "--yes")
    assert code == 0, error
    assert signed["signed"] == {key: ["suspensions", "snapshot", "timestamp"]}
    office.told("publish", "--package", package)
    office.told("prolong", "--until", "2028-01-01", *WHY)
    office.told("prepare", "--package", tmp_path / "next")
    code, signed, error = token.idtone("sign", tmp_path / "next", "--key", key, *trust, "--yes")
    assert (code, signed["signed"]) == (0, {key: ["snapshot", "timestamp"]}), error


def test_a_fault_of_a_token_is_reported(token, tmp_path):
    public = ("--public", tmp_path / "x.pub")
    for name, environment, fault in (
        ("hsm:2?label=other", {}, "No PKCS#11 token found for label other"),
        ("hsm:3?label=duty", {}, "could not find ECDSA key"),
        ("hsm:x", {}, "is not a key in a token"),
        ("hsm:2", {"PYKCS11LIB": ""}, "PYKCS11LIB environment variable must be set"),
        ("hsm:3?label=duty", {"IDTONE_PASSPHRASE": "1234"}, "PinIncorrect"),
        ("hsm:2", {"PYKCS11LIB": str(tmp_path / "none.so")}, "cannot open shared object file"),
    ):
        code, _, error = token.idtone("key", name, *public, **environment)
        assert (code, fault in " ".join(error.split())) == (2, True), error
    code, _, error = token.idtone("key", "hsm:2?label=duty")
    assert (code, "with --public" in " ".join(error.split())) == (2, True)
