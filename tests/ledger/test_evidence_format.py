"""docs/evidence-format.md. The code still makes its example, and the verifier beside it rejects the same packs as
idtone.
"""

import ast
import base64
import hashlib
import hmac
import io
import json
import random
import re
import runpy
import struct
import subprocess
import sys
import zlib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Signer
from idtone.ledger.disclosure.pack import MANIFEST, SEAL, seal
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from lab.ledger.disclosure.packs import CLAIMS, DAMAGES, HIDINGS, SIGNER, Files, pack_of, resealed
from lab.ledger.example_pack import (
    BASIS,
    FIRST_FORMAT,
    PACK,
    PAGE,
    VALUES,
    WITNESS,
    make_pack,
    printed_blocks,
    zip_values,
)
from lab.ledger.sample_evidence import LOG
from lab.operations.ledger_commands import run as ledger
from lab.operations.manifest_tamperings import TAMPERINGS
from lab.repository import parsed

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_pack.py"
LINES = 391


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    return json.loads(VALUES.read_text("utf-8"))


@pytest.fixture(scope="module")
def verifier() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(VERIFIER)))


def run(*arguments: object) -> SimpleNamespace:
    """Run the verifier as a program, in the test's process."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()):
        patch.setattr(sys, "argv", ["verify_pack.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            runpy.run_path(str(VERIFIER), run_name="__main__")
    return SimpleNamespace(code=int(exited.value.code), out=out.getvalue())


@pytest.fixture
def rejected(tmp_path):
    """Function that returns the verifier's message about a bad pack."""

    def reject(files: Files, log=LOG) -> str:
        write_zip(tmp_path / "pack.zip", files)
        result = run(tmp_path / "pack.zip", "--log-key", log)
        assert result.code == 1, result
        assert "NOT GOOD" in result.out.splitlines()
        assert all(each.isprintable() for each in result.out.split("\n"))
        return result.out.partition("NOT GOOD")[0]

    return reject


def test_the_code_still_makes_the_example_and_the_document_prints_it(values):
    """The ZIP file's own octets are left out, because they differ between versions of zlib."""
    pack, known = make_pack()
    assert list(read_zip(PACK).items()) == list(pack.items())
    assert values == known | zip_values(PACK.read_bytes())
    assert printed_blocks() == {name: text.removesuffix("\n") for name, text in values.items()}


def test_the_keys_of_the_example_open_its_numbers(values):
    key = {name: bytes.fromhex(values[name]) for name in values if name.startswith(("key ", "record key", "day key"))}
    call = bytes.fromhex(values["associated data"])
    day, kept = values["line of the day"].split()
    wrapped, record = base64.b64decode(kept), base64.b64decode(values["numbers_key"])
    assert AESGCM(key["key that wraps day keys"]).decrypt(wrapped[:12], wrapped[12:], day.encode()) == key["day key"]
    assert AESGCM(key["key that wraps record keys"]).decrypt(record[:12], record[12:], call) == key["record key"]
    plain = AESGCM(key["record key"]).decrypt(bytes(12), base64.b64decode(values["numbers"]), call)
    assert plain.hex() == values["plaintext"]
    number = json.loads(plain)["called"].encode()
    assert hmac.digest(key["key of tokens"], number, "sha256")[:16].hex() == values["called_token"]


def test_the_example_is_good_by_both():
    verdict = verify_pack_files(read_zip(PACK), LOG, [WITNESS.cosigner])
    assert (verdict.faults, verdict.cosigners) == ([], (WITNESS.cosigner,))
    assert verdict.request
    program = [sys.executable, "-I", VERIFIER, PACK, "--log-key", str(LOG), "--witness-key", str(WITNESS.cosigner)]
    result = subprocess.run(program, capture_output=True, encoding="utf-8", check=False)
    assert (result.returncode, result.stderr) == (0, "")
    told = result.stdout.splitlines()
    assert told[0] == "good"
    assert "call pbx-1-1793491200.4, leaves [1, 2]" in told
    assert "  called +815031234567 (050)" in told
    assert "requested by alice, approved by bob" in told


def test_a_pack_of_the_first_format_is_still_good_by_both_and_says_that_it_names_no_basis():
    verdict = verify_pack_files(read_zip(FIRST_FORMAT), LOG, [WITNESS.cosigner])
    assert (verdict.faults, verdict.basis) == ([], None)
    assert verdict.request
    assert run(FIRST_FORMAT, "--log-key", LOG, "--witness-key", WITNESS.cosigner).code == 0
    assert "legal basis       not recorded" in ledger("verify pack", FIRST_FORMAT).stdout


def test_the_document_names_every_member_and_detail_of_the_example():
    pack, page = read_zip(PACK), PAGE.read_text("utf-8")
    leaves = [json.loads(content) for name, content in pack.items() if name.startswith("leaves/")]
    steps = [step for leaf in leaves for step in leaf["steps"]]
    manifest = json.loads(pack[MANIFEST])
    found = [manifest, manifest["basis"], *leaves, *steps, *(step["details"] for step in steps)]
    assert not {name for members in found for name in members if f"`{name}`" not in page}


# -- the verifier -----------------------------------------------------------------------------------------------------


def test_the_verifier_is_short_and_stands_alone():
    text = VERIFIER.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    nodes = list(ast.walk(parsed(text)))
    names = {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


def test_a_real_pack_is_good_and_of_a_sealed_one_no_number_is_told(files, evidence_folder, tmp_path):
    told = []
    for pack in (files, pack_of(evidence_folder, sealed=True)):
        write_zip(tmp_path / "pack.zip", pack)
        result = run(tmp_path / "pack.zip", "--log-key", LOG)
        assert result.code == 0, result
        told.append(result.out)
    assert [line for line in told[0].splitlines() if line.startswith("call ")] == [
        f"call {entry['call']}, leaves {entry['leaves']}" for entry in json.loads(files[MANIFEST])["records"]
    ]
    assert told[0].count("  forwarding +81312345678 (fixed)\n") == 4
    assert "  forwarding " not in told[1]
    assert not [number for number in re.findall(r"\+81\d{9,10}", told[0]) if number in told[1]]


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_changed_is_told(files, rejected, damage):
    name, change = DAMAGES[damage]
    change(files)
    assert verify_pack_files(files, LOG).faults
    assert name in rejected(files)


@pytest.mark.parametrize(("change", "fault"), CLAIMS)
def test_a_manifest_that_says_what_its_leaves_do_not_is_told(files, rejected, change, fault):
    pack = resealed(files, change)
    assert any(fault in each for each in verify_pack_files(pack, LOG).faults), verify_pack_files(pack, LOG).faults
    assert rejected(pack)


@pytest.mark.parametrize("key", ["case", "exported"])
@pytest.mark.parametrize(
    "text", ["x\r\x1b[1A\x1b[2Kgood: case x", "2026-11-01\n00:00:00+00:00", "\x9b2K", "\u202e"]
)  # fmt: skip
def test_what_would_not_be_one_printable_line_is_refused(files, rejected, key, text):
    pack = resealed(files, lambda manifest: manifest.update({key: text}))
    verdict = verify_pack_files(pack, LOG)
    assert (verdict.case, verdict.exported)[key == "exported"] == ""
    [fault] = verdict.faults
    assert f"the manifest's {key} is not printable" in fault
    assert fault.isprintable()
    assert MANIFEST in rejected(pack)


def test_a_seal_or_a_log_by_another_key_is_told(files, rejected):
    other = Signer(LOG.name, bytes(32))
    pack = resealed(files, signer=other)
    assert "the seal is not by pbx-1/idtone with this key" in verify_pack_files(pack, LOG).faults
    assert "manifest.note" in rejected(pack)
    assert rejected(files, other.key).count("not a proof of this leaf by this log") == 4


def test_a_witness_that_has_not_cosigned_is_told(tmp_path):
    stranger = Signer("w.example", bytes(32)).cosigner
    result = run(PACK, "--log-key", LOG, "--witness-key", WITNESS.cosigner, "--witness-key", stranger)
    assert result.code == 1
    assert result.out.startswith("proofs/: w.example has not cosigned\nNOT GOOD\n")
    pack, name = read_zip(PACK), "proofs/2.tlog-proof"
    pack[name] = pack[name][: pack[name].index("\n— witness".encode()) + 1]
    digest = hashlib.sha256(pack[name]).hexdigest()
    pack = resealed(pack, lambda manifest: manifest["files"].update({name: digest}))
    assert not verify_pack_files(pack, LOG).faults
    write_zip(tmp_path / "x", pack)
    assert run(tmp_path / "x", "--log-key", LOG).code == 0
    assert run(tmp_path / "x", "--log-key", LOG, "--witness-key", WITNESS.cosigner).code == 1


def test_an_approval_that_is_none_is_told(rejected):
    for change, _ in TAMPERINGS:
        pack = resealed(read_zip(PACK), change)
        if verify_pack_files(pack, LOG).faults:
            assert rejected(pack)


def test_a_basis_that_the_second_person_was_not_shown_is_told(rejected):
    """The approved digest is that of the pack, but the request has another legal basis."""
    pack, _ = make_pack(replace(BASIS, court="another court"))
    assert verify_pack_files(pack, LOG).faults == ["what was approved is another legal basis than this"]
    assert "of another legal basis" in rejected(pack)


def test_what_two_persons_have_not_seen_or_two_programs_could_read_in_two_ways_is_told(files, rejected):
    """A pack must not contain a file that nobody approved.

    Two programs must not read different entries of the same name.
    """
    digest = hashlib.sha256(b"x").hexdigest()
    more = resealed({**files, "numbers.txt": b"x"}, lambda manifest: manifest["files"].update({"numbers.txt": digest}))
    assert verify_pack_files(more, LOG).faults == ["numbers.txt belongs to no record of the pack"]

    def twice(manifest: dict) -> None:
        manifest["records"].insert(1, {**manifest["records"][1], "leaves": [1]})

    assert "with a call twice" in rejected(resealed(read_zip(PACK), twice))
    pack = read_zip(PACK)
    pack[MANIFEST] = b'{"acts":[],' + pack[MANIFEST][1:]
    pack[SEAL] = seal(pack, json.loads(pack[MANIFEST])["case"], SIGNER)
    assert verify_pack_files(pack, LOG).faults == ["the manifest is missing or cannot be read (ValueError)"]
    assert rejected(pack) == "manifest.json: of another form, empty, or with a call twice\n"


def flipped(dice: random.Random, octets: bytes) -> bytes:
    changed = bytearray(octets)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def test_every_changed_octet_is_told(files, verifier):
    dice, key = random.Random(7), verifier.vkey(str(LOG), 1)
    assert verifier.Pack(files, key, []).faults == []
    for _ in range(100):
        name = dice.choice(sorted(files))
        pack = {**files, name: flipped(dice, files[name])}
        assert verify_pack_files(pack, LOG).faults, name
        assert verifier.Pack(pack, key, []).faults, name


# -- the ZIP file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hiding", HIDINGS)
def test_a_zip_with_octets_of_no_file_is_not_read(files, tmp_path, hiding):
    path = tmp_path / "x"
    write_zip(path, files)
    path.write_bytes(HIDINGS[hiding](path.read_bytes()))
    with pytest.raises(LedgerError, match=r"octets that belong to none of its files|is not a pack, or is damaged"):
        read_zip(path)
    assert run(path, "--log-key", LOG).code == 2


def zipped(*held: tuple[str, bytes, bytes], extra: bytes = b"", size: int | None = None) -> bytes:
    """Build a ZIP file from names and contents.

    Each content may be followed by octets that pretend to be part of it. The ZIP file states `size` for each content,
    by default the true size.
    """
    octets, listed = b"", b""
    for name, content, behind in held:
        deflate = zlib.compressobj(wbits=-15)
        data = deflate.compress(content) + deflate.flush() + behind
        fixed = struct.pack(
            "<5H3I2H", 20, 0, 8, 0, 33, zlib.crc32(content), len(data), size or len(content), len(name), 0
        )
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
        (zipped((MANIFEST, b"{}", b""), size=2**29 + 1), "larger than any pack"),
        (b"PK", "not a zip file"),
        (b"", "not a zip file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_zip_of_another_form_is_not_read(verifier, octets, why):
    with pytest.raises(Exception, match=f"(?i){why}"):
        verifier.unzip(octets)


def test_a_changed_zip_is_not_read_or_not_good(verifier):
    dice, octets, key = random.Random(7), PACK.read_bytes(), verifier.vkey(str(LOG), 1)
    files = verifier.unzip(octets)
    assert verifier.Pack(files, key, []).faults == []
    for _ in range(200):
        try:
            changed = verifier.unzip(flipped(dice, octets))
        except Exception:  # noqa: S112
            continue
        assert verifier.Pack(changed, key, []).faults or changed == files


@pytest.mark.parametrize(
    "arguments",
    [
        (PACK,),
        ("none.zip", "--log-key", LOG),
        (PACK, "--log-key", "x"),
        (PACK, "--log-key", WITNESS.cosigner),
        (PACK, "--log-key", LOG, "--witness-key", LOG),
        (PACK, "--log-key", str(LOG).replace("+a", "+b")),
    ],
)
def test_what_cannot_be_used_is_told(arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
