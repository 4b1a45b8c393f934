"""An authority that has published its first edition."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..registry.examples import GOOD
from ..registry.trust.association import SUSPENSIONS
from .office import PHRASE, Office


@pytest.fixture
def new_office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    """The two files alone."""
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    office = Office(tmp_path / "authority", capsys, monkeypatch)
    office.folder.mkdir()
    office.registry.write_text(GOOD.partition("suspensions:")[0])
    office.suspensions.write_text(SUSPENSIONS)
    return office


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the first `office` has, for the others."""
    return tmp_path_factory.mktemp("offices") / "kept"


@pytest.fixture
def office(new_office: Office, kept: Path) -> Office:
    beside = new_office.folder.parent
    if kept.exists():
        shutil.copytree(kept, beside, dirs_exist_ok=True)
    else:
        new_office.told("init", "--keys", new_office.key("any").parent)
        shutil.copytree(beside, kept)
    return new_office
