"""Runs commands of the ledger, and writes settings with a ledger for them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import rfc8785
from typer.testing import CliRunner, Result

from idtone.core.errors import IdtoneError
from idtone.core.settings.settings import LedgerSettings, load_settings
from idtone.ledger.disclosure.pack import MANIFEST, SEAL, seal
from idtone.ledger.disclosure.pack_file import write_zip
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.idtone_programs import ledger_words, locate_command
from lab.ledger.sample_evidence import decided, heard_call, write_each

DEMAND = (
    "--authority", "見本警察署", "--reference", "見本 第7号", "--scope", "calls of one number in November",
    "--received", "1h",
)  # fmt: skip
"""Texts that each legal basis requires."""
WARRANT = ("--basis", "warrant", *DEMAND, "--court", "見本簡易裁判所", "--valid-until", "2096-12-31")
"""Options for a legal basis that opens telephone numbers."""


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(*locate_command(ledger_words(*arguments)), env={"COLUMNS": "200"})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    return result


def reseal(pack: Path, ledger: LedgerSettings, files: Mapping[str, bytes]) -> None:
    """Rewrite the pack with these files and a valid signature, as the member with the signing key could."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name not in (MANIFEST, SEAL)
    }
    changed = {**files, MANIFEST: rfc8785.dumps(manifest)}
    signer = KeyRing.of(ledger, "pbx-1").signer_of("pbx-1/idtone")
    write_zip(pack, changed | {SEAL: seal(changed, manifest["case"], signer)})


def write_settings(folder: Path) -> Path:
    """Write settings with a ledger that has two ended calls and one in progress."""
    path = folder / "idtone.yaml"
    path.write_text(
        f"node: pbx-1\nledger: {{url: 'sqlite:///{folder}/ledger/l.sqlite3', key_file: {folder}/ledger/key}}\n"
    )
    settings = load_settings(path, {})
    with LedgerWriter.open(settings.ledger.url, "pbx-1", KeyRing.of(settings.ledger, "pbx-1")) as writer:
        write_each(writer, *heard_call("c-1"), *heard_call("c-2", 5000), decided(call_id="c-3"))
    return path
