"""Packs: their content, and who can verify them. Changed packs are in tests/ledger/test_evidence_format.py."""

import base64
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import LedgerError
from idtone.ledger.disclosure.pack import MANIFEST, REPORT, read_record
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.evidence.steps import NumberRole
from lab.ledger.disclosure.packs import NAMES, SIGNER, pack_of
from lab.ledger.sample_evidence import CALLED, FORWARDING, LOG, forwarded


def test_a_pack_is_verified_by_itself_and_tells_its_records(files):
    verdict = verify_pack_files(files, LOG)
    assert (verdict.faults, verdict.case, verdict.log_is_known, verdict.leaves) == ([], "R-7 <&>", True, 25)
    assert [(each.record.call_id, each.record.sent, len(each.leaves)) for each in verdict.told] == [
        *zip(NAMES, (True, False, False, False), (1, 2, 1, 1), strict=True)
    ]
    assert verdict.told[0].numbers[NumberRole.CALLED] == forwarded().called


def test_a_pack_is_verified_without_its_logs_key_and_says_so(files):
    verdict = verify_pack_files(files, None)
    assert (verdict.faults, verdict.log_is_known) == ([], False)


def test_a_pack_is_not_verified_by_a_key_of_another_kind(files):
    for key in (verify_pack_files(files, LOG, [LOG]), verify_pack_files(files, SIGNER.cosigner)):
        assert "is of another kind" in key.faults[0]


def test_with_the_key_of_one_record_no_other_is_opened(files):
    manifest = json.loads(files[MANIFEST])
    keys = [base64.b64decode(entry["key"]) for entry in manifest["records"]]
    assert len(set(keys)) == 4
    leaf = manifest["records"][1]["leaves"][0]
    with pytest.raises(LedgerError, match="not what was sealed under this key"):
        read_record(NAMES[1], {leaf: files[f"leaves/{leaf}.json"]}, keys[0])


def test_a_sealed_pack_holds_no_number(evidence_folder):
    pack = pack_of(evidence_folder, sealed=True)
    assert verify_pack_files(pack, LOG).faults == []
    assert not any(each.numbers for each in verify_pack_files(pack, LOG).told)
    for number in (FORWARDING, CALLED):
        assert not any(number[1:].encode() in content for content in pack.values())
    assert "封緘".encode() in pack[REPORT]


def test_the_report_has_both_languages_and_nothing_that_a_browser_would_fetch_or_run(files):
    page = files[REPORT].decode()
    for text in (
        "R-7 &lt;&amp;&gt;",
        "&lt;見本&gt;",
        "判定 / decided",
        "+81312345678",
        "送信済み / sent",
        "2026-11-01 09:00:00.123+09:00",
        NAMES[3],
        str(LOG),
    ):
        assert text in page, text
    for forbidden in ("<script", "http:", "https:", "src=", "url(", "_token"):
        assert forbidden not in page


def test_what_is_nested_too_deep_is_told():
    faults = verify_pack_files({MANIFEST: b"[" * 200_000}, LOG).faults
    assert faults == ["the manifest is missing or cannot be read (RecursionError)"]
    with pytest.raises(LedgerError, match="a leaf of call c-1 cannot be read"):
        read_record("c-1", {0: b"[" * 200_000}, None)


def test_a_pack_is_a_zip_that_is_the_same_each_time(files, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        write_zip(path, files)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert read_zip(one) == files
    assert one.stat().st_mode & 0o777 == 0o600


def test_what_is_too_large_is_neither_written_nor_read(tmp_path, monkeypatch):
    path = tmp_path / "x"
    for missing, why in ((lambda: write_zip(path / "x", {}), "cannot be written"), (lambda: read_zip(path), "be read")):
        with pytest.raises(LedgerError, match=why):
            missing()
    write_zip(path, {"a": bytes(10**6)})
    with pytest.raises(LedgerError, match="larger than any pack"):
        read_zip(path, 10**5)
    monkeypatch.setattr("idtone.ledger.disclosure.pack_file.FILES_LIMIT", 1)
    with pytest.raises(LedgerError, match="a pack holds 1 files at most; export fewer calls at a time"):
        write_zip(path, {"a": b"", "b": b""})


@given(st.binary(max_size=300))
def test_any_file_is_a_pack_or_an_error(tmp_path_factory, octets):
    path = tmp_path_factory.mktemp("zip") / "x"
    path.write_bytes(octets)
    with pytest.raises(LedgerError, match="is not a pack, or is damaged"):
        read_zip(path)
