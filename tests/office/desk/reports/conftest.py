"""Members at a report desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.office.desk.reports.members import Members, authority


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    """Members at a running desk, which keeps the office's ledger open."""
    made = Members(authority(tmp_path / "authority"))
    with made.desk.ledger.open():
        yield made
