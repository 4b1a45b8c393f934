"""An authority that has published its first edition."""

from __future__ import annotations

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


@pytest.fixture
def office(new_office: Office) -> Office:
    new_office.told("init", "--keys", new_office.key("any").parent)
    return new_office
