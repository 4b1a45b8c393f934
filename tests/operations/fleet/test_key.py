"""`idtone-fleet new-key`, and the key as the service reads it."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone.core.errors import DocumentError, UsageError
from idtone.core.settings.fleet import FLEET_KEY_BYTES, FleetSettings
from idtone.fleet_cli import app


def make(path: Path):
    return CliRunner().invoke(app, ["new-key", str(path)])


def key_of(path: Path) -> bytes | None:
    return FleetSettings(key_file=path, trunks=("pbx-b",)).key()


def test_it_makes_a_key_once_that_only_its_owner_can_read(tmp_path):
    path = tmp_path / "fleet.key"
    made = make(path)
    assert made.exit_code == 0
    assert made.output.startswith(f"{path}\nOn each node: copy this file")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = key_of(path)
    assert key
    assert len(key) == FLEET_KEY_BYTES
    again = make(path)
    assert isinstance(again.exception, UsageError)
    assert "exists already; copy this key" in str(again.exception)
    assert key_of(path) == key


def test_it_asks_for_a_folder_that_exists(tmp_path):
    elsewhere = make(tmp_path / "absent" / "fleet.key")
    assert "name a file in another folder" in str(elsewhere.exception)


def test_a_key_that_cannot_be_used_is_one_clear_error(tmp_path):
    assert FleetSettings().key() is None
    path = tmp_path / "fleet.key"
    with pytest.raises(DocumentError, match=r"fleet\.key_file: is not set, and fleet\.trunks is"):
        FleetSettings(trunks=("pbx-b",)).key()
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        key_of(path)
    for text in ("", "00" * 31, "00" * 33, "x" * 64):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(DocumentError, match="does not have exactly 64 hexadecimal digits"):
            key_of(path)
    path.write_text("00" * 32)
    path.chmod(0o640)
    with pytest.raises(DocumentError, match=r"others can read the key \(mode 0640\).*chmod 600"):
        key_of(path)
