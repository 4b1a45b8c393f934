"""Packs after they are made: the receipt, the confirmation, and the index of a year."""

import asyncio
import csv
import hashlib
import io
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from idtone.core.errors import LedgerError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.persons import acting_person
from idtone.core.settings.settings import load_settings
from idtone.ledger.commands import disclosures as commands
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.disclosure.record_act import record_act, record_queued_acts
from idtone.ledger.evidence import steps
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.asterisk import EVIDENCE, IDTONE
from lab.japan_today import today
from lab.ledger import example_pack
from lab.ledger.sample_evidence import heard_call, write_each
from lab.operations.ledger_commands import DEMAND, WARRANT, run

EMERGENCY = ("--basis", "emergency", *DEMAND, "--why", "a life is in danger")


@pytest.fixture
def office(config: Path, tmp_path: Path) -> SimpleNamespace:
    """A member's ledger, its commands, and the packs that it makes."""

    def json_of(*arguments: object) -> Any:
        result = run(*arguments, "-c", config, "--json")
        return json.loads(result.stdout)

    def export(name: str, *basis: str) -> Path:
        json_of("export", "--case", "R-7", *basis, "-o", tmp_path / name, "c-1")
        return tmp_path / name

    return SimpleNamespace(config=config, json=json_of, export=export, day=today())


def test_by_standard_input_and_output_no_folder_is_shared(office: SimpleNamespace, tmp_path: Path) -> None:
    """Under sudo, the service's user cannot reach files in the officer's home, but the officer's shell can."""
    disclosure = [EVIDENCE, "disclosure"]
    ends = {
        "check": True,
        "cwd": "/",
        "capture_output": True,
        "env": os.environ | {"IDTONE_CONFIG": str(office.config)},
    }
    made = subprocess.run([IDTONE, "ledger", "export", "--case", "R-7", *WARRANT, "--stdout", "c-1"], **ends)
    pack = tmp_path / "pack.zip"
    pack.write_bytes(made.stdout)
    assert b"log_key" in made.stderr
    assert subprocess.run([EVIDENCE, "verify", "pack", pack], **ends).stdout.startswith(b"good: case R-7")
    sheet = subprocess.run([*disclosure, "deliver", "-", "-o", "-"], input=made.stdout, **ends)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(sheet.stdout)).pages)
    assert hashlib.sha256(made.stdout).hexdigest() in text.replace("\n", "")
    receipt = [*disclosure, "receipt", "-", "--by", "見本警察署", "--on", str(office.day), "--json"]
    received = subprocess.run(receipt, input=made.stdout, **ends)
    assert json.loads(received.stdout)["receipt"]


def test_who_exports_a_call_of_a_clock_that_was_ahead_reads_that_verifiers_refuse_it(office, tmp_path):
    ledger, ahead_ms = load_settings(office.config, {}).ledger, 20 * 365 * 86_400_000
    with LedgerWriter.open(ledger.url, "pbx-1", KeyRing.of(ledger, "pbx-1")) as writer:
        write_each(writer, *heard_call("c-4", ahead_ms))
    for call, is_ahead in (("c-1", False), ("c-4", True)):
        pack = tmp_path / f"{call}.zip"
        made = run("export", "--case", "R-7", *WARRANT, "-o", pack, call, "-c", office.config)
        assert ("the pack will not be good: leaf" in made.stderr) is is_ahead, made.stderr
        assert (run("verify pack", pack).exit_code == 1) is is_ahead


def test_a_pack_is_handed_over_received_and_confirmed(office, tmp_path):
    pack, sheet, scan = office.export("pack.zip", *EMERGENCY), tmp_path / "receipt.pdf", tmp_path / "scan.pdf"
    made = office.json("disclosure deliver", pack, "-o", sheet)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(sheet).pages)
    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    assert all(part in text.replace("\n", "") for part in ("受領書", "見本警察署", made["sha256"], digest, made["id"]))
    assert sheet.stat().st_mode & 0o777 == 0o600
    scan.write_bytes(b"%PDF scanned")
    received = ("disclosure receipt", pack, "--by", "見本警察署 係長", "--on", office.day)
    office.json(*received, "--scan", scan)
    with pytest.raises(UsageError, match="has a receipt already"):
        office.json(*received)
    [listed] = office.json("disclosure list")["disclosures"]
    assert (listed["id"], listed["pack"], listed["state"]) == (made["id"], made["sha256"], "exported")
    assert listed["receipt"]["scan"] == hashlib.sha256(scan.read_bytes()).hexdigest()
    received_on = datetime.fromisoformat(listed["basis"]["received"]).astimezone(JAPAN).date()
    assert listed["basis"]["confirm_by"] == str(received_on + timedelta(days=3))
    office.json("disclosure confirm", made["id"], "--reference", "見本 第8号", "--on", office.day)
    assert office.json("disclosure list")["disclosures"][0]["confirmed"]["reference"] == "見本 第8号"
    listed_too = run("list", "-c", office.config).stdout
    assert "exported, R-7, emergency" in listed_too
    assert "export-received, 見本警察署 係長" in listed_too
    shown = run("show", listed["receipt"]["act"], "-c", office.config).stdout
    assert "見本警察署 係長" in shown
    assert run("verify", "-c", office.config).exit_code == 0


def test_another_pack_or_a_changed_one_gets_no_receipt(office, tmp_path):
    pack = office.export("pack.zip", *WARRANT)
    files = read_zip(pack)
    write_zip(tmp_path / "changed.zip", {**files, "report.html": b"another"})
    received = ("--by", "見本警察署", "--on", office.day)
    for path, options, why in (
        (tmp_path / "changed.zip", (), r"report.html was changed; hand over the pack as it was made"),
        (example_pack.FOLDER / "pack.zip", (), "; hand over the pack as it was made"),
        (pack, ("--scan", tmp_path / "none.pdf"), "none.pdf: cannot be read"),
        (pack, ("--signature", pack), "--signature and --office-key go together"),
        (pack, ("--scan", pack, "--signature", pack), "cannot go together"),
        (pack, ("--on", "today"), "is not a day"),
        (pack, ("--by", "03-1234-5678"), "telephone number"),
        (pack, ("--on", str(office.day - timedelta(days=1))), "before the disclosure"),
    ):
        with pytest.raises(UsageError, match=why):
            office.json("disclosure receipt", path, *received, *options)
    disclosure = office.json("disclosure list")["disclosures"][0]["id"]
    with pytest.raises(UsageError, match="needs no confirmation"):
        office.json("disclosure confirm", disclosure, "--reference", "x", "--on", office.day)
    [listed] = office.json("disclosure list")["disclosures"]
    assert (listed["receipt"], listed["confirmed"]) == (None, None)


def test_a_pack_whose_record_is_not_in_the_ledger_gets_no_receipt(office, tmp_path):
    """The ledger's key made the pack, for example before the ledger was lost."""
    pack = office.export("pack.zip", *WARRANT)
    assert office.json("disclosure deliver", pack, "-o", tmp_path / "receipt.pdf")["sha256"]
    with pytest.raises(UsageError, match="this ledger has made no such pack"):
        commands.disclosure_of_pack(pack, {}, commands.own_key(load_settings(office.config, {}).ledger, "pbx-1"))


def rsa_signed(octets: bytes) -> tuple[bytes, Any]:
    key = rsa.generate_private_key(65537, 2048)
    return key.sign(octets, padding.PKCS1v15(), SHA256()), key.public_key()


def ec_signed(octets: bytes) -> tuple[bytes, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.sign(octets, ec.ECDSA(SHA256())), key.public_key()


@pytest.mark.parametrize("signed", [rsa_signed, ec_signed])
def test_an_office_with_a_key_signs_the_pack_itself(office, tmp_path, signed):
    pack, signature, key = office.export("pack.zip", *WARRANT), tmp_path / "pack.sig", tmp_path / "office.pem"
    octets, public = signed(pack.read_bytes())
    other = signed(b"another pack")[0]
    received = (
        "disclosure receipt",
        pack,
        "--by",
        "見本警察署",
        "--on",
        office.day,
        "--signature",
        signature,
        "--office-key",
        key,
    )
    small = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505  which is refused
    strange = ed25519.Ed25519PrivateKey.generate()
    for given, pem, why in (
        (other, public, "the signature is not by this key on this pack"),
        (octets, None, "neither a public key nor a certificate in PEM"),
        (octets, strange.public_key(), "of another kind"),
        (octets, small, "of another kind"),
    ):
        signature.write_bytes(given)
        key.write_bytes(pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) if pem else b"-----")
        with pytest.raises(UsageError, match=why):
            office.json(*received)
    signature.write_bytes(octets)
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    told = office.json(*received)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert told["signature_key"] == hashlib.sha256(der).hexdigest()
    assert told["signature"] == hashlib.sha256(octets).hexdigest()


def test_the_index_as_table_csv_pdf_and_figures(office, tmp_path, monkeypatch, in_japan):
    for number in range(5):
        office.export(f"{number}.zip", *WARRANT)
    office.export("5.zip", *EMERGENCY)
    counted = run("disclosure list", "--figures", "--csv", "-c", office.config).stdout
    assert [row[:3] for row in csv.reader(io.StringIO(counted))] == [
        ["basis", "disclosed", "refused"],
        ["emergency", "<5", "0"],
        ["warrant", "5", "0"],
        ["total", "", "0"],
    ]
    assert office.json("disclosure list", "--figures")["figures"][1] == {
        "basis": "warrant",
        "disclosed": 5,
        "refused": 0,
        "calls": 5,
    }
    rows = list(csv.DictReader(io.StringIO(run("disclosure list", "--csv", "-c", office.config).stdout)))
    assert [row["basis"] for row in rows] == ["warrant"] * 5 + ["emergency"]
    assert rows[-1]["confirmed"].startswith("due ")
    assert len(rows[0]["pack"]) == 64
    assert rows[0]["time"].endswith("+00:00")
    assert "+09:00" in run("disclosure list", "-c", office.config).stdout
    run("disclosure list", "--pdf", tmp_path / "index.pdf", "-c", office.config)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "index.pdf").pages)
    assert "証跡の開示目録" in text
    assert "a life is in danger" in text
    assert run("disclosure list", "--overdue", "-c", office.config).exit_code == 0
    assert office.json("disclosure list", "--year", "2001")["disclosures"] == []

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + timedelta(days=5)

    monkeypatch.setattr(commands, "datetime", Later)
    late = run("disclosure list", "--year", office.day.year, "--overdue", "--csv", "-c", office.config)
    assert late.exit_code == 1
    assert [row["confirmed"][:7] for row in csv.DictReader(io.StringIO(late.stdout))] == ["overdue"]


def test_the_legal_basis_is_asked_for_and_its_texts_hold_no_number(office):
    for basis, why in (
        ((), "name the legal basis with --basis: inquiry, warrant, emergency, consent, association"),
        (("--basis", "curiosity", *DEMAND), "there is no legal basis 'curiosity'; choose inquiry"),
        (("--basis", "warrant", *DEMAND), "needs --court, --valid-until; add it"),
        (("--basis", "inquiry", *DEMAND), "add --sealed"),
        ((*WARRANT, "--scope", "03-1234-5678"), "--scope holds what may be a telephone number"),
        ((*WARRANT, "--case", "03-1234-5678"), "--case holds what may be a telephone number"),
        ((*WARRANT, "--valid-until", "soon"), "--valid-until 'soon' is not a day"),
        ((*WARRANT, "--received", "soon"), "--received 'soon' is not a time"),
    ):
        with pytest.raises(UsageError, match=why):
            office.export("pack.zip", *basis)
    assert office.json("disclosure list")["disclosures"] == []


async def test_the_running_service_judges_receipts_and_bases_by_its_own_rules(office, tmp_path):
    settings = load_settings(office.config, {}).ledger
    pack = office.export("pack.zip", *WARRANT)
    own = tmp_path / "own.yaml"
    bases = tmp_path / "bases.yaml"
    bases.write_text("bases: {any: {ja: 何でも, en: anything, needs: [], numbers: opened}}")
    own.write_text(office.config.read_text().replace("ledger: {", f"ledger: {{legal_bases: {bases}, "))
    with LedgerWriter.open(settings.url, "pbx-1", KeyRing.of(settings, "pbx-1")) as writer:
        recording = asyncio.create_task(record_queued_acts(settings.url, writer, DisclosureRules.of(settings)))
        arguments = ("export", "--case", "R-8", "--basis", "any", "-o", tmp_path / "x.zip", "c-1", "-c", own)
        with pytest.raises(LedgerError, match="the service refuses to record this"):
            await asyncio.to_thread(run, *arguments)
        await asyncio.to_thread(office.json, "disclosure receipt", pack, "--by", "見本警察署", "--on", office.day)
        [export] = (await asyncio.to_thread(office.json, "disclosure list"))["disclosures"]

        def again(act: str) -> steps.Step:
            person = acting_person()
            return steps.export_received(act, datetime.now(UTC), person, export["id"], export["pack"], "x", office.day)

        key_ring, rules = KeyRing.of(settings, "pbx-1"), DisclosureRules()
        with pytest.raises(LedgerError, match="the service refuses to record this"):
            await asyncio.to_thread(record_act, settings.url, "pbx-1", key_ring, again, rules)
        recording.cancel()
        await asyncio.wait({recording})
    assert not (tmp_path / "x.zip").exists()
