"""A fixture: settings with a ledger of a few calls."""

from pathlib import Path

import pytest

from lab.operations.ledger_commands import write_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_settings(tmp_path)
