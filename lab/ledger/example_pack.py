"""The worked example of docs/evidence-format.md: a pack by two persons, with fixed keys, times and random octets.

`python -m lab.ledger.example_pack` writes it to lab/ledger/example, and prints the blocks of the document.
"""

import base64
import hashlib
import hmac
import json
import re
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

from idtone.core.calls import Decision, Direction, ForwardedCall
from idtone.core.numbers import parse
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.disclosure.legal_basis import LegalBasis
from idtone.ledger.disclosure.pack import MANIFEST, PAPER, REPORT, SEAL, PackedCall, pack_files, seal
from idtone.ledger.disclosure.pack_file import write_zip
from idtone.ledger.disclosure.packed_calls import packed_calls, selection_digest
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys import sealing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.tree.merkle import leaf_hash

from .sample_evidence import ALICE, BOB, KEY, LOG, PLAY, REFUSE, SEED, days_of, time_after, url_of, write_each
from .sample_ledger import writer_of

FOLDER: Final = Path(__file__).with_name("example")
PACK, VALUES = FOLDER / "pack.zip", FOLDER / "values.json"
FIRST_FORMAT: Final = FOLDER / "pack-1.zip"
"""The same pack in the first format, which named no legal basis."""
PAGE: Final = Path(__file__).parents[2] / "docs" / "evidence-format.md"
WIDTH: Final = 118

CASE: Final = "照会 2026-7"
BASIS: Final = LegalBasis(
    "warrant",
    "令状 / warrant",
    "見本警察署 / Sample Police Station",
    "見本 第7号",
    "calls of 2026-11-01",
    time_after(0),
    court="見本簡易裁判所",
    valid_until=date(2026, 11, 7),
)
WITNESS_SEED: Final = bytes(range(64, 96))
WITNESS: Final = Signer("witness.example/w", WITNESS_SEED)
COSIGNED_AT_S: Final = 1793498460
CALLS: Final = ("pbx-1-1793491200.2", "pbx-1-1793491200.4")
"""Calls of the pack. A third call is only in the tree."""

Files = dict[str, bytes]


def _decided(call_id: str, decision: Decision, ms: float, called: str) -> Step:
    numbers = parse("0312345678"), parse("09012345679"), parse(called)
    return steps.decided(
        ForwardedCall(call_id, Direction.INCOMING, *numbers), decision, time_after(ms), "agi", "123456789012"
    )


def _calls() -> Iterator[Step]:
    yield _decided("pbx-1-1793491200.0", REFUSE._replace(hangup_cause=None), 0, "117")
    yield steps.ended("pbx-1-1793491200.0", time_after(1), CallStatus.REFUSED, 21)
    heard, cancelled = CALLS
    yield _decided(heard, PLAY, 1000, "05031234567")
    yield _decided(cancelled, PLAY, 2000, "0612345678")
    yield steps.answered(heard, time_after(4000))
    yield steps.sound_started(heard, time_after(4002), "sample", "5e" * 32)
    yield steps.sound_ended(heard, time_after(4404), 400, known_by="packets", packets=20)
    yield steps.connected(heard, time_after(4406))
    yield steps.ended(cancelled, time_after(5000), CallStatus.CANCEL, 16)
    yield steps.sound_failed(cancelled, time_after(5001), "hung up")
    yield steps.ended(heard, time_after(61_000), CallStatus.CONNECTED, 16)


def make_pack(shown: LegalBasis = BASIS) -> tuple[Files, dict[str, str]]:
    """Files of the pack, and the values in the document by their names there.

    `shown` is the legal basis that the request shows to the second person.
    """
    draws = count(1)
    # Each draw of random octets repeats one value: 01 01 …, then 02 02 …
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(sealing, "os", SimpleNamespace(urandom=lambda length: bytes([next(draws)]) * length)),
    ):
        return _made(url_of(Path(folder) / "ledger.sqlite3"), shown)


def _made(url: str, shown: LegalBasis) -> tuple[Files, dict[str, str]]:
    signer = Signer(LOG.name, SEED)
    day, hour = timedelta(days=1), timedelta(hours=1)
    with writer_of(url) as writer:
        write_each(writer, *_calls())
        with LedgerReader.open(url) as reader:
            selection = selection_digest(CASE, False, packed_calls(reader, CALLS, None, sealed=True), BASIS)
        asked = time_after(0) + hour
        until, basis = asked + 7 * day, shown.details()
        write_each(writer, steps.export_requested("act-1", asked, ALICE, CASE, CALLS, False, selection, until, basis))
        write_each(
            writer, steps.export_approved("act-2", asked + hour, BOB, "act-1", selection, asked + hour + 7 * day)
        )
        note = writer.stored_checkpoint
    assert note
    note = note.with_lines([WITNESS.cosign(note.text, COSIGNED_AT_S)])
    with LedgerReader.open(url, days_of(url)) as reader:
        chosen = packed_calls(reader, CALLS, note, sealed=False)
        approval = packed_calls(reader, ["act-1", "act-2"], note, sealed=True)
    profiles = {"sample": {"id": "sample", "title": "見本", "played_sha256": "5e" * 32}}
    reports = {REPORT: "<!doctype html>報告\n".encode(), PAPER: b"%PDF-1.4\n"}
    files = pack_files(CASE, "act-3", asked + 2 * hour, chosen, profiles, signer.key, reports, BASIS, approval)
    files[SEAL] = seal(files, CASE, signer)
    days = path_of(url).with_name("key.days").read_text()
    return files, _values(files, chosen, approval, note, days)


def _values(
    files: Files, chosen: list[PackedCall], approval: list[PackedCall], note: Note, days: str
) -> dict[str, str]:
    """Values of keys and plaintext, computed as the document describes, without the product's code."""
    leaves = {one.proof.index: one.content for each in (*chosen, *approval) for one in each.proven}
    [record_key] = [each.record_key for each in chosen if each.call_id == CALLS[1]]
    assert record_key
    details = json.loads(leaves[1])["steps"][0]["details"]
    held = {"called": "+81612345678", "caller": "+819012345679", "forwarding": "+81312345678"}
    day_key = bytes([1]) * 32
    manifest = json.loads(files[MANIFEST])
    calls = [
        [entry["call"], [manifest["files"][f"leaves/{index}.json"] for index in entry["leaves"]]]
        for entry in manifest["records"]
    ]
    selection = _canonical({"basis": manifest["basis"], "calls": calls, "case": CASE, "numbers_sealed": False})
    return {
        "signing seed": SEED.hex(),
        "log key": str(LOG),
        "witness seed": WITNESS_SEED.hex(),
        "witness key": str(WITNESS.cosigner),
        "leaves/1.json": leaves[1].decode(),
        "leaves/2.json": leaves[2].decode(),
        "leaf hash 1": leaf_hash(leaves[1]).hex(),
        "leaf hash 2": leaf_hash(leaves[2]).hex(),
        "root": base64.b64decode(note.text.split("\n")[2]).hex(),
        "proofs/2.tlog-proof": files["proofs/2.tlog-proof"].decode(),
        "message of the witness": f"cosignature/v1\ntime {COSIGNED_AT_S}\n{note.text}",
        "record key": record_key.hex(),
        "associated data": CALLS[1].encode().hex(),
        "plaintext": _canonical(held).encode().ljust(96).hex(),
        "numbers": details["numbers"],
        "numbers_key": details["numbers_key"],
        "day key": day_key.hex(),
        "key that wraps record keys": hmac.digest(day_key, b"idtone ledger record key\1", hashlib.sha256).hex(),
        "key of tokens": hmac.digest(day_key, b"idtone ledger token\1", hashlib.sha256).hex(),
        "called_token": details["called_token"],
        "ledger key": KEY.hex(),
        "key that wraps day keys": hmac.digest(KEY, b"idtone ledger day key\1", hashlib.sha256).hex(),
        "line of the day": days,
        "manifest.json": files[MANIFEST].decode(),
        "manifest.note": files[SEAL].decode(),
        "selection": selection,
        "SHA-256 of the selection": hashlib.sha256(selection.encode()).hexdigest(),
    }


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def zip_values(octets: bytes) -> dict[str, str]:
    """Parts of the ZIP file that the document prints. The sizes in it differ between versions of zlib."""
    listed = octets.index(b"PK\1\2")
    name = MANIFEST.encode()
    return {
        "header of the first file": octets[: 30 + len(name)].hex(),
        "first entry of the list": octets[listed : listed + 46 + len(name)].hex(),
        "end of the list": octets[-22:].hex(),
    }


def blocks(values: dict[str, str]) -> str:
    """The values in the format of the document."""
    return "\n".join(f"`{name}`:\n\n```\n{_folded(text)}\n```\n" for name, text in values.items())


def _folded(text: str) -> str:
    """The text with long lines continued on the next line, after two spaces."""
    lines = text.removesuffix("\n").split("\n")
    return "\n".join("\n  ".join([line[i : i + WIDTH] for i in range(0, len(line), WIDTH)]) for line in lines)


def printed_blocks() -> dict[str, str]:
    """Name of each block on the page of the evidence format → its text."""
    found = re.findall(r"^`([^`\n]+)`:\n\n```\n(.*?)\n```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return {name: text.replace("\n  ", "") for name, text in found}


def main() -> None:
    files, values = make_pack()
    FOLDER.mkdir(exist_ok=True)
    write_zip(PACK, files)
    PACK.chmod(0o644)
    values |= zip_values(PACK.read_bytes())
    VALUES.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(blocks(values))


if __name__ == "__main__":
    main()
