"""An authority that has published its first edition."""

from pathlib import Path

import pytest

from lab.made_once import made_once
from lab.office.authority.office import PHRASE, Office
from lab.registry.examples import GOOD
from lab.registry.trust.association import SUSPENSIONS


@pytest.fixture
def new_office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """The two files alone."""
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    office = Office(tmp_path / "authority", monkeypatch)
    office.folder.mkdir()
    office.registry.write_text(GOOD.partition("suspensions:")[0])
    office.suspensions.write_text(SUSPENSIONS)
    return office


@pytest.fixture
def office(new_office: Office, tmp_path_factory: pytest.TempPathFactory) -> Office:
    made_once(
        tmp_path_factory, "office", new_office.folder.parent,
        lambda: new_office.told("publication begin", "--keys", new_office.key("any").parent),
    )  # fmt: skip
    return new_office
