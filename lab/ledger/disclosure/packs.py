"""A pack with four calls, and changes of it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rfc8785

from idtone.core.paper.html import as_html
from idtone.core.paper.pdf import as_pdf
from idtone.core.signed_notes import Signer
from idtone.ledger.disclosure.evidence_report import report
from idtone.ledger.disclosure.legal_basis import LegalBasis
from idtone.ledger.disclosure.pack import MANIFEST, PAPER, REPORT, SEAL, PackedCall, pack_files, read_record, seal
from idtone.ledger.store.ledger_reader import LedgerReader

from ..sample_evidence import LOG, NOW, SEED, days_of, url_of

SIGNER = Signer(LOG.name, SEED)
CASE = "R-7 <&>"
BASIS = LegalBasis("consent", "consent / consent", "見本警察署 <&>", "2026-7", "one call", NOW)
NAMES = [f"pbx-1-1793491200.{number}" for number in (0, 1, 2, 3)]
Files = dict[str, bytes]
Manifest = dict[str, Any]


def pack_of(folder: Path, *, sealed: bool = False) -> Files:
    """Files of a pack with four of the twenty calls of `evidence()`. One of the four has two leaves."""
    url = url_of(folder / "ledger.sqlite3")
    with LedgerReader.open(url, None if sealed else days_of(url)) as reader:
        calls = [PackedCall(name, reader.proofs(name), reader.record_key(name)) for name in NAMES]
    tales = [
        read_record(each.call_id, {one.proof.index: one.content for one in each.proven}, each.record_key)
        for each in calls
    ]
    profiles = {"sample": {"id": "sample", "title": "<見本>"}}
    content = report(CASE, NOW, tales, profiles, str(LOG), BASIS)
    return resealed(
        pack_files(CASE, "act-1", NOW, calls, profiles, LOG, {REPORT: as_html(content), PAPER: as_pdf(content)}, BASIS)
    )


def resealed(
    files: Files, change: Callable[[Manifest], object] = lambda manifest: None, signer: Signer = SIGNER
) -> Files:
    """The pack after someone who has the signing key but cannot change the tree has changed its manifest."""
    manifest = json.loads(files[MANIFEST])
    change(manifest)
    pack = {**files, MANIFEST: rfc8785.dumps(manifest)}
    return {**pack, SEAL: seal(pack, manifest["case"], signer)}


DAMAGES: dict[str, tuple[str, Callable[[Files], object]]] = {
    "no manifest": (MANIFEST, lambda files: files.pop(MANIFEST)),
    "no seal": (SEAL, lambda files: files.pop(SEAL)),
    "no report": (REPORT, lambda files: files.pop(REPORT)),
    "no report on paper": (PAPER, lambda files: files.pop(PAPER)),
    "another report on paper": (PAPER, lambda files: files.update({PAPER: files[PAPER] + b"\n"})),
    "another report": (REPORT, lambda files: files.update({REPORT: files[REPORT].replace(b"sample", b"simple")})),
    "one file more": ("more", lambda files: files.update(more=b"")),
    "another leaf": ("leaves/0.json", lambda files: files.update({"leaves/0.json": files["leaves/1.json"]})),
    "a changed leaf": ("leaves/0.json", lambda files: files.update({"leaves/0.json": files["leaves/0.json"] + b" "})),
    "no leaf": ("leaves/0.json", lambda files: files.pop("leaves/0.json")),
    "no proof": ("proofs/0.tlog-proof", lambda files: files.pop("proofs/0.tlog-proof")),
    "another case": (SEAL, lambda files: files.update({MANIFEST: files[MANIFEST].replace(b"R-7", b"R-8")})),
    "a manifest that is a list": (MANIFEST, lambda files: files.update({MANIFEST: b"[]"})),
    "another format": (MANIFEST, lambda files: files.update({MANIFEST: files[MANIFEST].replace(b"ce/2", b"ce/3")})),
}
"""Name → a file, and a change of it that anyone can make."""

CLAIMS: list[tuple[Callable[[Manifest], object], str]] = [
    (lambda manifest: manifest["records"][0].update(call=NAMES[1]), "is of pbx-1-1793491200.0"),
    (lambda manifest: manifest["records"][0].update(leaves=[]), "its leaves do not ascend"),
    (lambda manifest: manifest["records"][0].update(leaves=[99]), "not a proof"),
    (lambda manifest: manifest["records"][0].update(key="A" * 43 + "="), "not what was sealed under this key"),
    (lambda manifest: manifest["records"].append({}), "cannot be read (KeyError)"),
    (lambda manifest: manifest.update(exported="now"), "cannot be read (ValueError)"),
    (lambda manifest: manifest["records"].insert(1, manifest["records"][0]), "is there twice"),
    (lambda manifest: manifest.pop("basis"), "legal basis is not as its format demands"),
    (lambda manifest: manifest.update(basis={}), "legal basis is not as its format demands"),
    (lambda manifest: manifest.update(format="idtone-evidence/1"), "legal basis is not as its format demands"),
    (lambda manifest: manifest.update(format="idtone-evidence/1", basis={}), "is not as its format demands"),
    (lambda manifest: manifest["basis"].pop("law"), "legal basis is not as its format demands"),
    (lambda manifest: manifest["basis"].update(more="x"), "legal basis is not as its format demands"),
    (lambda manifest: manifest["basis"].update(scope="x\x1b[2K"), "legal basis cannot be read"),
    (lambda manifest: manifest["basis"].update(scope=7), "legal basis cannot be read"),
    (lambda manifest: manifest["records"].pop(), "belongs to no record of the pack"),
    (lambda manifest: manifest["records"][1]["leaves"].pop(0), "steps of its call come before, and the leaves have 0"),
    (lambda manifest: manifest["records"][0]["leaves"].append(manifest["records"][0]["leaves"][0]), "do not ascend"),
    (lambda manifest: manifest.update(exported="2026-10-31T00:00:00+00:00"), "after the pack was made"),
    (lambda manifest: manifest["basis"].update(valid_until="2026-10-31"), "the warrant was valid until 2026-10-31"),
    (
        lambda manifest: manifest["basis"].update(received="2026-11-02T00:00:00+00:00"),
        "arrived after the pack was made",
    ),
    (lambda manifest: manifest["basis"].update(basis="c\u043ensent"), "look like others"),
    (lambda manifest: manifest["basis"].update(law="c\u043ensent / consent"), "look like others"),
]
"""Changes of the manifest that a holder of the signing key could make, each with the report about it."""


def hidden_in_stream(octets: bytes) -> bytes:
    """The ZIP file with additional octets that its directory counts as part of the last file."""
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        start = archive.start_dir
        (*_, last) = archive.infolist()
    more = b"hidden"
    size = (last.compress_size + len(more)).to_bytes(4, "little")
    local = last.header_offset
    listed = bytearray(octets[start:])
    at = listed.rindex(b"PK\1\2")
    listed[at + 20 : at + 24] = size
    listed[-6:-2] = (start + len(more)).to_bytes(4, "little")
    return octets[: local + 18] + size + octets[local + 22 : start] + more + bytes(listed)


HIDINGS: dict[str, Callable[[bytes], bytes]] = {
    "before": lambda octets: b"#!/bin/sh\n" + octets,
    "after": lambda octets: octets + b"x",
    "comment": lambda octets: octets[:-2] + b"\3\0abc",
    "between": lambda octets: octets.replace(b"PK\1\2", b"hidden" + b"PK\1\2", 1),
    "behind the end of a stream": hidden_in_stream,
}
"""Name → a way to hide octets in a ZIP file outside its files."""
