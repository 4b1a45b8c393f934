"""The OpenSSL commands in the documents do what the pages say. `tests/office/test_succession.py` runs the ones for the
holders' keys.
"""

import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from idtone.ledger.disclosure.recipient_signature import office_key_digest
from lab.ledger.witness.time_stamping_authority import TimeStampingAuthority
from lab.repository import ROOT

HOW_TO = ROOT / "docs" / "how-to"


def run(script: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("is_rsa", [True, False])
def test_an_office_signs_a_pack(tmp_path, is_rsa):
    key = rsa.generate_private_key(65537, 3072) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    [line] = re.findall(r"`(openssl dgst [^`]+)`", (HOW_TO / "evidence.md").read_text("utf-8"))
    (tmp_path / "pack.zip").write_bytes(b"pack")
    (tmp_path / "office.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    run(line, tmp_path)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert office_key_digest(b"pack", (tmp_path / "pack.sig").read_bytes(), public)


@pytest.mark.nightly
def test_old_timestamps_are_stamped_by_a_new_authority(tmp_path):
    page = (HOW_TO / "timestamps.md").read_text("utf-8")
    [block] = [each for each in re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "openssl" in each]
    (tmp_path / "ledger.key.stamps").mkdir()
    (tmp_path / "ledger.key.stamps" / "1.tsr").write_bytes(b"an old reply")
    authority = TimeStampingAuthority(tmp_path / "authority")
    (tmp_path / "new-root.pem").write_bytes(authority.root.read_bytes())
    with authority.serving() as url:
        said = run(block.replace("https://new-tsa.example/", url).replace("/var/lib/idtone", str(tmp_path)), tmp_path)
    assert "Verification: OK" in said
