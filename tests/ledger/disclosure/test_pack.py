"""Packs: what is in them, who can verify them, and every way in which one can be meddled with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from idtone.errors import LedgerError
from idtone.ledger.disclosure.pack import MANIFEST, PAPER, REPORT, SEAL, PackedCall, packed, seal, told
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.pack_verification import verified
from idtone.ledger.disclosure.report.content import report
from idtone.ledger.disclosure.report.html import page
from idtone.ledger.disclosure.report.pdf import paper
from idtone.ledger.evidence.steps import NumberRole
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.notes import Signer

from ..sample_evidence import CALLED, FORWARDING, LOG, NOW, SEED, days_of, forwarded
from ..verification.test_verify_ledger import evidence, write

SIGNER = Signer(LOG.name, SEED)
NAMES = [f"pbx-1-1793491200.{number}" for number in (0, 1, 2, 3)]
Files = dict[str, bytes]


@pytest.fixture
def files(url: str) -> Files:
    return four_calls(url)


def four_calls(url: str) -> Files:
    """A pack of four calls, one of which has two leaves, out of twenty."""
    write(url, evidence())
    with LedgerReader.open(url, days_of(url)) as reader:
        calls = [PackedCall(name, reader.proofs(name), reader.record_key(name)) for name in NAMES]
    return made(calls)


def made(calls: list[PackedCall]) -> Files:
    tales = [
        told(each.call_id, {one.proof.index: one.content for one in each.proven}, each.record_key) for each in calls
    ]
    profiles = {"sample": {"id": "sample", "title": "<見本>"}}
    content = report("R-7 <&>", NOW, tales, profiles, str(LOG))
    reports = {REPORT: page(content), PAPER: paper(content)}
    pack = packed("R-7 <&>", "act-1", NOW, calls, profiles, LOG, reports)
    return {**pack, SEAL: seal(pack, "R-7 <&>", SIGNER)}


def test_a_pack_is_verified_by_itself_and_tells_its_records(files):
    verdict = verified(files, LOG)
    assert verdict.faults == []
    assert (verdict.case, verdict.log_is_known, verdict.leaves) == ("R-7 <&>", True, 25)
    assert [each.record.call_id for each in verdict.told] == NAMES
    assert [each.record.heard for each in verdict.told] == [True, False, False, False]
    assert [len(each.leaves) for each in verdict.told] == [1, 2, 1, 1]
    assert verdict.told[0].numbers[NumberRole.CALLED] == forwarded().called
    assert not verified(files, None).log_is_known
    assert verified(files, None).faults == []


def test_with_the_key_of_one_record_no_other_is_opened(files):
    manifest = json.loads(files[MANIFEST])
    keys = [base64.b64decode(entry["key"]) for entry in manifest["records"]]
    assert len(set(keys)) == 4
    leaf = manifest["records"][1]["leaves"][0]
    with pytest.raises(LedgerError, match="not what was sealed under this key"):
        told(NAMES[1], {leaf: files[f"leaves/{leaf}.json"]}, keys[0])


def test_a_sealed_pack_holds_no_number(url):
    write(url, evidence())
    with LedgerReader.open(url) as reader:
        pack = made([PackedCall(name, reader.proofs(name), reader.record_key(name)) for name in NAMES])
    assert verified(pack, LOG).faults == []
    assert not any(each.numbers for each in verified(pack, LOG).told)
    for number in (FORWARDING, CALLED):
        assert not any(number[1:].encode() in content for content in pack.values())
    assert "封緘".encode() in pack[REPORT]


def test_the_report_has_both_languages_and_nothing_that_a_browser_would_fetch_or_run(files):
    page = files[REPORT].decode()
    assert "R-7 &lt;&amp;&gt;" in page
    assert "&lt;見本&gt;" in page
    for text in ("判定 / decided", "+81312345678", "はい / yes", "2026-11-01 09:00:00.123+09:00", NAMES[3], str(LOG)):
        assert text in page, text
    for forbidden in ("<script", "http:", "https:", "src=", "url("):
        assert forbidden not in page
    assert "_token" not in page


DAMAGES: dict[str, Callable[[Files], object]] = {
    "no manifest": lambda files: files.pop(MANIFEST),
    "no seal": lambda files: files.pop(SEAL),
    "no report": lambda files: files.pop(REPORT),
    "no report on paper": lambda files: files.pop(PAPER),
    "another report on paper": lambda files: files.update({PAPER: files[PAPER] + b"\n"}),
    "another report": lambda files: files.update({REPORT: files[REPORT].replace(b"yes", b"no ")}),
    "one file more": lambda files: files.update(more=b""),
    "another leaf": lambda files: files.update({"leaves/0.json": files["leaves/1.json"]}),
    "a changed leaf": lambda files: files.update({"leaves/0.json": files["leaves/0.json"] + b" "}),
    "no leaf": lambda files: files.pop("leaves/0.json"),
    "no proof": lambda files: files.pop("proofs/0.tlog-proof"),
    "another case": lambda files: files.update({MANIFEST: files[MANIFEST].replace(b"R-7", b"R-8")}),
    "a manifest that is a list": lambda files: files.update({MANIFEST: b"[]"}),
    "another format": lambda files: files.update({MANIFEST: files[MANIFEST].replace(b"evidence/1", b"evidence/2")}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_changed_is_told(files, damage):
    DAMAGES[damage](files)
    assert verified(files, LOG).faults


def test_every_changed_octet_is_told(files):
    dice = random.Random(7)
    for _ in range(300):
        name = dice.choice(sorted(files))
        content = bytearray(files[name])
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        assert verified({**files, name: bytes(content)}, LOG).faults, name


def resealed(files: Files, change: Callable[[dict[str, Any]], object], signer: Signer = SIGNER) -> Files:
    """As one who has the signing key would do it, but cannot change the tree."""
    manifest = json.loads(files[MANIFEST])
    change(manifest)
    pack = {**files, MANIFEST: rfc8785.dumps(manifest)}
    return {**pack, SEAL: seal(pack, manifest["case"], signer)}


def test_a_seal_by_another_key_is_told(files):
    pack = resealed(files, dict, Signer(LOG.name, bytes(32)))
    assert "the seal is not by pbx-1/idtone with this key" in verified(pack, LOG).faults


CLAIMS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda manifest: manifest["records"][0].update(call=NAMES[1]), "is of pbx-1-1793491200.0"),
    (lambda manifest: manifest["records"][0].update(leaves=[]), "cannot be read"),
    (lambda manifest: manifest["records"][0].update(leaves=[99]), "not a proof"),
    (lambda manifest: manifest["records"][0].update(key="AAAA"), "not what was sealed under this key"),
    (lambda manifest: manifest["records"].append({}), "cannot be read (KeyError)"),
    (lambda manifest: manifest.update(exported="now"), "cannot be read (ValueError)"),
    (lambda manifest: manifest["records"].insert(1, manifest["records"][0]), "is there twice"),
    (lambda manifest: manifest["records"].pop(), "belongs to no record of the pack"),
]
"""What somebody with the signing key may put into a manifest, and what is told of it."""


@pytest.mark.parametrize("claim", range(len(CLAIMS)))
def test_a_manifest_that_says_what_its_leaves_do_not_is_told(files, claim):
    change, fault = CLAIMS[claim]
    verdict = verified(resealed(files, change), LOG)
    assert any(fault in each for each in verdict.faults), verdict.faults


UNPRINTABLE = ["x\r\x1b[1A\x1b[2Kgood: case x", "2026-11-01\n00:00:00+00:00", "\x9b2K", "\u202e"]


@pytest.mark.parametrize("key", ["case", "exported"])
@pytest.mark.parametrize("text", UNPRINTABLE)
def test_what_would_not_be_one_printable_line_is_refused(files, key, text):
    manifest = {**json.loads(files[MANIFEST]), key: text}
    verdict = verified({**files, MANIFEST: json.dumps(manifest).encode()}, LOG)
    assert (verdict.case, verdict.exported)[key == "exported"] == ""
    assert len(verdict.faults) == 1
    assert f"the manifest's {key} is not printable" in verdict.faults[0]
    assert verdict.faults[0].isprintable()


def test_what_is_nested_too_deep_is_told(files):
    assert verified({MANIFEST: b"[" * 200_000}, LOG).faults == [
        "the manifest is missing or cannot be read (RecursionError)"
    ]
    with pytest.raises(LedgerError, match="a leaf of call c-1 cannot be read"):
        told("c-1", {0: b"[" * 200_000}, None)


def test_a_pack_is_a_zip_that_is_the_same_each_time(files, tmp_path):
    for name in ("one", "two"):
        write_zip(tmp_path / name, files)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_zip(tmp_path / "one") == files
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    with pytest.raises(LedgerError, match="cannot be written"):
        write_zip(tmp_path / "none" / "x", files)


def test_a_sealed_file_that_belongs_to_no_record_is_told(files):
    """It would go out under the approval of two persons who have not seen it."""
    name = "numbers.txt"
    pack = resealed(
        {**files, name: b"x"}, lambda manifest: manifest["files"].update({name: hashlib.sha256(b"x").hexdigest()})
    )
    assert verified(pack, LOG).faults == [f"{name} belongs to no record of the pack"]


def test_a_manifest_that_two_programs_could_read_in_two_ways_is_refused(files):
    twice = files[MANIFEST].replace(b'"case":', b'"case":"another","case":', 1)
    pack = {**files, MANIFEST: twice}
    pack[SEAL] = seal(pack, json.loads(twice)["case"], SIGNER)
    assert verified(pack, LOG).faults == ["the manifest is missing or cannot be read (ValueError)"]


def test_a_key_of_another_kind_proves_nothing(files):
    assert "is of another kind" in verified(files, LOG, [LOG]).faults[0]
    assert "is of another kind" in verified(files, SIGNER.cosigner).faults[0]


def test_more_files_than_a_zip_lists_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("idtone.ledger.disclosure.pack_file.FILES_LIMIT", 1)
    with pytest.raises(LedgerError, match="a pack holds 1 files at most; export fewer calls at a time"):
        write_zip(tmp_path / "x", {"a": b"", "b": b""})


@given(st.binary(max_size=300))
def test_any_file_is_a_pack_or_an_error(tmp_path_factory, octets):
    path = tmp_path_factory.mktemp("zip") / "x"
    path.write_bytes(octets)
    with pytest.raises(LedgerError, match="is not a pack, or is damaged"):
        read_zip(path)


def hidden_in_stream(octets: bytes) -> bytes:
    """Within what the list counts as the last file's."""
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        start = archive.start_dir
        (*_, last) = archive.infolist()
    more = b"hidden"
    size = (last.compress_size + len(more)).to_bytes(4, "little")
    local = last.header_offset
    changed = octets[: local + 18] + size + octets[local + 22 : start] + more
    listed = bytearray(octets[start:])
    at = listed.rindex(b"PK\1\2")
    listed[at + 20 : at + 24] = size
    listed[-6:-2] = (start + len(more)).to_bytes(4, "little")
    return changed + bytes(listed)


HIDINGS: dict[str, Callable[[bytes], bytes]] = {
    "before": lambda octets: b"#!/bin/sh\n" + octets,
    "after": lambda octets: octets + b"x",
    "comment": lambda octets: octets[:-2] + b"\3\0abc",
    "between": lambda octets: octets.replace(b"PK\1\2", b"hidden" + b"PK\1\2", 1),
    "behind the end of a stream": lambda octets: hidden_in_stream(octets),
}


@pytest.mark.parametrize("hiding", HIDINGS)
def test_a_zip_with_octets_of_no_file_is_not_read(files, tmp_path, hiding):
    path = tmp_path / "x"
    write_zip(path, files)
    path.write_bytes(HIDINGS[hiding](path.read_bytes()))
    with pytest.raises(LedgerError, match=r"octets that belong to none of its files|is not a pack, or is damaged"):
        read_zip(path)


def test_names_in_japanese_are_read(tmp_path):
    files = {"記録.json": b"{}", "a": b""}
    write_zip(tmp_path / "x", files)
    assert read_zip(tmp_path / "x") == files


def test_a_zip_that_would_fill_the_memory_is_not_read(tmp_path, monkeypatch):
    write_zip(tmp_path / "x", {"a": bytes(10**6)})
    monkeypatch.setattr("idtone.ledger.disclosure.pack_file.BYTES_LIMIT", 10**5)
    with pytest.raises(LedgerError, match="larger than any pack"):
        read_zip(tmp_path / "x")
    with pytest.raises(LedgerError, match="cannot be read"):
        read_zip(tmp_path / "none")


def test_times_of_the_report_are_those_of_japan(files):
    assert (NOW + timedelta(hours=9)).strftime("%Y-%m-%d %H:%M").encode() in files[REPORT]
