"""docs/evidence-format.md: its example is what the code makes, and the verifier beside it rejects what ours rejects."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import importlib.util
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.ledger.disclosure.pack import MANIFEST, SEAL, PackedCall, seal
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.pack_verification import verified
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.notes import Signer

from ..operations.tamperings import TAMPERINGS
from .disclosure.test_pack import CLAIMS, DAMAGES, HIDINGS, NAMES, SIGNER, UNPRINTABLE, Files, four_calls, resealed
from .disclosure.test_pack import made as packed_of
from .example_pack import PACK, PAGE, VALUES, WITNESS, made, printed, zip_values
from .sample_evidence import LOG
from .verification.test_verify_ledger import evidence, write

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_pack.py"
LINES = 150


@pytest.fixture
def files(url: str) -> Files:
    return four_calls(url)


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    return json.loads(VALUES.read_text("utf-8"))


@pytest.fixture(scope="module")
def verifier() -> ModuleType:
    """The file as a module, where a process for each pack would take minutes."""
    spec = importlib.util.spec_from_file_location("verify_pack", VERIFIER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", VERIFIER, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False
    )


def rejected(pack: Path) -> str:
    """What the verifier tells of a pack that is not good."""
    result = run(pack, "--log-key", LOG)
    assert result.returncode == 1, result
    assert "NOT GOOD" in result.stdout.splitlines()
    assert all(each.isprintable() for each in result.stdout.split("\n"))
    return result.stdout.partition("NOT GOOD")[0]


def put(path: Path, files: Files) -> Path:
    write_zip(path / "pack.zip", files)
    return path / "pack.zip"


# -- the example ------------------------------------------------------------------------------------------------------


def test_the_code_still_makes_the_example(values):
    """But for the ZIP file's own octets, which differ between versions of zlib."""
    pack, known = made()
    held = read_zip(PACK)
    assert list(held.items()) == list(pack.items())
    assert values == known | zip_values(PACK.read_bytes())


def test_the_document_prints_what_the_example_holds(values):
    assert printed() == {name: text.removesuffix("\n") for name, text in values.items()}


def test_the_keys_of_the_example_open_its_numbers(values):
    key = {name: bytes.fromhex(values[name]) for name in values if name.startswith(("key ", "record key", "day key"))}
    call = bytes.fromhex(values["associated data"])
    day, kept = values["line of the day"].split()
    wrapped, record = base64.b64decode(kept), base64.b64decode(values["numbers_key"])
    assert AESGCM(key["key that wraps day keys"]).decrypt(wrapped[:12], wrapped[12:], day.encode()) == key["day key"]
    assert AESGCM(key["key that wraps record keys"]).decrypt(record[:12], record[12:], call) == key["record key"]
    sealed = base64.b64decode(values["numbers"])
    plain = AESGCM(key["record key"]).decrypt(bytes(12), sealed, call)
    assert plain.hex() == values["plaintext"]
    number = json.loads(plain)["called"].encode()
    assert hmac.digest(key["key of tokens"], number, "sha256")[:16].hex() == values["called_token"]


def test_the_example_is_good_by_both():
    pack = read_zip(PACK)
    verdict = verified(pack, LOG, [WITNESS.cosigner])
    assert (verdict.faults, verdict.cosigners) == ([], (WITNESS.cosigner,))
    assert verdict.request
    result = run(PACK, "--log-key", LOG, "--witness", WITNESS.cosigner)
    assert (result.returncode, result.stderr) == (0, "")
    told = result.stdout.splitlines()
    assert told[0] == "good"
    assert "call pbx-1-1793491200.4, leaves [1, 2]" in told
    assert "  called +815031234567 (050)" in told
    assert "requested by alice, approved by bob" in told


def test_the_document_names_every_member_and_detail_of_the_example():
    pack, page = read_zip(PACK), PAGE.read_text("utf-8")
    leaves = [json.loads(content) for name, content in pack.items() if name.startswith("leaves/")]
    steps = [step for leaf in leaves for step in leaf["steps"]]
    found = [json.loads(pack[MANIFEST]), *leaves, *steps, *(step["details"] for step in steps)]
    assert not {name for members in found for name in members if f"`{name}`" not in page}


# -- the verifier -----------------------------------------------------------------------------------------------------


def test_the_verifier_is_short_and_stands_alone():
    text = VERIFIER.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert names - sys.stdlib_module_names == {"cryptography"}


def test_a_real_pack_is_good(files, tmp_path):
    result = run(put(tmp_path, files), "--log-key", LOG)
    assert result.returncode == 0, result
    assert [line for line in result.stdout.splitlines() if line.startswith("call ")] == [
        f"call {entry['call']}, leaves {entry['leaves']}" for entry in json.loads(files[MANIFEST])["records"]
    ]
    assert result.stdout.count("  forwarding +81312345678 (fixed)\n") == 4


def test_of_a_sealed_pack_no_number_is_told(url, tmp_path):
    write(url, evidence())
    with LedgerReader.open(url) as reader:
        pack = packed_of([PackedCall(name, reader.proofs(name), reader.record_key(name)) for name in NAMES])
    result = run(put(tmp_path, pack), "--log-key", LOG)
    assert (result.returncode, "+81" in result.stdout) == (0, False)


FILES_OF = {
    "no seal": SEAL, "no report": "report.html", "no report on paper": "report.pdf",
    "another report on paper": "report.pdf", "another report": "report.html", "one file more": "more",
    "another leaf": "leaves/0.json", "a changed leaf": "leaves/0.json", "no leaf": "leaves/0.json",
    "no proof": "proofs/0.tlog-proof",
}  # fmt: skip
"""Damage → the file that is named; where none stands here, the manifest."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_changed_is_told(files, tmp_path, damage):
    DAMAGES[damage](files)
    assert verified(files, LOG).faults
    assert FILES_OF.get(damage, MANIFEST if damage != "another case" else SEAL) in rejected(put(tmp_path, files))


@pytest.mark.parametrize("claim", range(len(CLAIMS)))
def test_a_manifest_that_says_what_its_leaves_do_not_is_told(files, tmp_path, claim):
    assert rejected(put(tmp_path, resealed(files, CLAIMS[claim][0])))


@pytest.mark.parametrize("key", ["case", "exported"])
@pytest.mark.parametrize("text", UNPRINTABLE)
def test_what_would_not_be_one_printable_line_is_refused(files, tmp_path, key, text):
    assert MANIFEST in rejected(put(tmp_path, resealed(files, lambda manifest: manifest.update({key: text}))))


def test_a_seal_or_a_log_by_another_key_is_told(files, tmp_path):
    other = Signer(LOG.name, bytes(32))
    assert "manifest.note" in rejected(put(tmp_path, resealed(files, dict, other)))
    result = run(put(tmp_path, files), "--log-key", other.key)
    assert (result.returncode, result.stdout.count("not a proof of this leaf by this log")) == (1, 4)


def test_a_witness_that_has_not_cosigned_is_told(tmp_path):
    stranger = Signer("w.example", bytes(32)).cosigner
    result = run(PACK, "--log-key", LOG, "--witness", WITNESS.cosigner, "--witness", stranger)
    assert result.returncode == 1
    assert result.stdout.startswith("proofs/: w.example has not cosigned\nNOT GOOD\n")
    pack = read_zip(PACK)
    name = "proofs/2.tlog-proof"
    text = pack[name].decode()
    pack[name] = text[: text.index("\n— witness") + 1].encode()
    digest = hashlib.sha256(pack[name]).hexdigest()
    pack = resealed(pack, lambda manifest: manifest["files"].update({name: digest}))
    assert not verified(pack, LOG).faults
    assert run(put(tmp_path, pack), "--log-key", LOG).returncode == 0
    assert run(put(tmp_path, pack), "--log-key", LOG, "--witness", WITNESS.cosigner).returncode == 1


@pytest.mark.parametrize("tampering", range(len(TAMPERINGS)))
def test_an_approval_that_is_none_is_told(tmp_path, tampering):
    pack = resealed(read_zip(PACK), TAMPERINGS[tampering][0])
    if verified(pack, LOG).faults:
        assert rejected(put(tmp_path, pack))


def test_a_call_is_in_a_pack_once(tmp_path):
    """Else two persons could have approved one of the two."""

    def twice(manifest: dict[str, Any]) -> None:
        manifest["records"].insert(1, {**manifest["records"][1], "leaves": [1]})

    assert "with a call twice" in rejected(put(tmp_path, resealed(read_zip(PACK), twice)))


def test_a_member_that_is_there_twice_is_told(tmp_path):
    """One program would read the first, another the second."""
    pack = read_zip(PACK)
    pack[MANIFEST] = b'{"acts":[],' + pack[MANIFEST][1:]
    pack[SEAL] = seal(pack, json.loads(pack[MANIFEST])["case"], SIGNER)
    assert rejected(put(tmp_path, pack)) == "manifest.json: of another form, empty, or with a call twice\n"


def test_every_changed_octet_is_told(files, verifier):
    dice = random.Random(7)
    key = verifier.vkey(str(LOG), 1)
    assert verifier.Pack(files, key, []).faults == []
    for _ in range(300):
        name = dice.choice(sorted(files))
        content = bytearray(files[name])
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        assert verifier.Pack({**files, name: bytes(content)}, key, []).faults, name


# -- the ZIP file -----------------------------------------------------------------------------------------------------


def refused(pack: Path) -> str:
    """Why the verifier does not read a file at all."""
    result = run(pack, "--log-key", LOG)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("hiding", HIDINGS)
def test_a_zip_with_octets_of_no_file_is_not_read(files, tmp_path, hiding):
    pack = put(tmp_path, files)
    pack.write_bytes(HIDINGS[hiding](pack.read_bytes()))
    refused(pack)


def zipped(*held: tuple[str, bytes, bytes], extra: bytes = b"") -> bytes:
    """A ZIP file of names, contents, and octets that stand behind the compressed ones as if they were part of them."""
    octets, listed = b"", b""
    for name, content, behind in held:
        deflate = zlib.compressobj(wbits=-15)
        data = deflate.compress(content) + deflate.flush() + behind
        fixed = struct.pack("<5H3I2H", 20, 0, 8, 0, 33, zlib.crc32(content), len(data), len(content), len(name), 0)
        listed += b"PK\1\2\x14\3" + fixed + struct.pack("<3H2I", 0, 0, 0, 0, len(octets)) + name.encode()
        local = fixed[:-2] + len(extra).to_bytes(2, "little")
        octets += b"PK\3\4" + local + name.encode() + extra + data
    return octets + listed + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(held), len(held), len(listed), len(octets), 0)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (zipped((MANIFEST, b"{}", b""), (MANIFEST, b"{}", b"")), "two files of one name"),
        (zipped((MANIFEST, b"{}", b"hidden")), "octets that belong to no file"),
        (zipped((MANIFEST, b"{}", b""), extra=b"hide"), "a header of another form"),
        (zipped((MANIFEST, bytes(2**29 + 1), b"")), "larger than any pack"),
        (b"PK", "not a zip file"),
        (b"", "not a zip file"),
    ],
    ids=["two of a name", "behind a compressed file", "in a header", "too large", "cut off", "empty"],
)
def test_a_zip_of_another_form_is_not_read(tmp_path, octets, why):
    (tmp_path / "pack.zip").write_bytes(octets)
    assert why in refused(tmp_path / "pack.zip").lower()


def test_a_changed_zip_is_not_read_or_not_good(verifier):
    dice, octets, key = random.Random(7), PACK.read_bytes(), verifier.vkey(str(LOG), 1)
    assert verifier.Pack(verifier.unzip(octets), key, []).faults == []
    for _ in range(300):
        changed = bytearray(octets)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        try:
            files = verifier.unzip(bytes(changed))
        except Exception:  # noqa: S112
            continue
        assert verifier.Pack(files, key, []).faults or files == verifier.unzip(octets)


def test_names_in_japanese_are_read(tmp_path, verifier):
    files = {"記録.json": b"{}", "a": b""}
    assert verifier.unzip(put(tmp_path, files).read_bytes()) == files


@pytest.mark.parametrize(
    "arguments",
    [
        (PACK,),
        ("none.zip", "--log-key", LOG),
        (PACK, "--log-key", "x"),
        (PACK, "--log-key", WITNESS.cosigner),
        (PACK, "--log-key", LOG, "--witness", LOG),
        (PACK, "--log-key", str(LOG).replace("+a", "+b")),
    ],
)
def test_what_cannot_be_used_is_told(arguments):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
