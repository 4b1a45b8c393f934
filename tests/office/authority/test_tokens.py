"""Keys in a hardware token. The tests use a real PKCS#11 library (SoftHSM) that never reveals its keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import pkcs11_token
from lab.office.authority.office import WHY, Office


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A PKCS#11 library with one token and a key in it. The tests share it, because the library reads its settings only
    once.
    """
    with pkcs11_token.softhsm(tmp_path_factory.mktemp("token"), "duty") as library:
        pkcs11_token.new_key(library, "duty", 2, pkcs11_token.P256)
        yield library


@pytest.fixture(autouse=True)
def _library(softhsm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYKCS11LIB", str(softhsm))


def with_token(office: Office, *words: object, **environment: str) -> tuple[int, Any, str]:
    """Run a command as the token's holder, who types the PIN."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ({"IDTONE_PASSPHRASE": pkcs11_token.PIN} | environment).items():
            patch.setenv(name, value)
        code, told, error = office.run(*words, "--json")
        return code, told, " ".join(error.split())


def test_a_token_signs_beside_key_files(office, tmp_path):
    trust = ("--trust", office.root, "--yes")
    key, public, package = "hsm:2?label=duty", tmp_path / "duty-3.pub", tmp_path / "package"
    code, told, error = with_token(office, "key new", key, "--public", public)
    assert (code, told["public"]) == (0, str(public)), error
    new = ["--public", f"duty={public}", *office.new_keys("duty-5", "duty-6", "duty-7")]
    office.json("key rotate", *new, *WHY, "--package", package)
    for name in ("root-1", "root-2", "duty-5"):
        office.run("publication sign", package, *office.keys(name), *trust, "--json")
    assert "needs the signatures of 2 of its 4 duty keys" in office.refused("publication publish", "--package", package)
    code, signed, error = with_token(office, "publication sign", package, "--key", key, *trust)
    assert (code, signed["signed"]) == (0, {key: ["suspensions", "never-originates", "snapshot", "timestamp"]}), error
    office.json("publication publish", "--package", package)
    office.json("publication prolong", "--until", "2028-01-01", *WHY)
    office.json("publication prepare", "--package", tmp_path / "next")
    code, signed, error = with_token(office, "publication sign", tmp_path / "next", "--key", key, *trust)
    assert (code, signed["signed"]) == (0, {key: ["snapshot", "timestamp"]}), error


@pytest.mark.parametrize(
    ("name", "environment", "fault"),
    [
        ("hsm:2?label=other", {}, "No PKCS#11 token found for label other"),
        ("hsm:3?label=duty", {}, "could not find ECDSA key"),
        ("hsm:x", {}, "is not a key in a token"),
        ("hsm:2", {"PYKCS11LIB": ""}, "PYKCS11LIB environment variable must be set"),
        ("hsm:3?label=duty", {"IDTONE_PASSPHRASE": "1234"}, "PinIncorrect"),
        ("hsm:2", {"PYKCS11LIB": "/none.so"}, "cannot open shared object file"),
    ],
)
def test_a_fault_of_a_token_is_reported(new_office, tmp_path, name, environment, fault):
    code, _, error = with_token(new_office, "key new", name, "--public", tmp_path / "x.pub", **environment)
    assert (code, fault in error) == (2, True), error


def test_the_public_half_of_a_token_needs_a_file(new_office):
    code, _, error = with_token(new_office, "key new", "hsm:2?label=duty")
    assert (code, "with --public" in error) == (2, True)
