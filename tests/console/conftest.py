from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from idtone.core.settings.settings import Settings
from lab.console.site import Site, running
from tests.office.conftest import new_office, office

__all__ = ["new_office", "office"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a node that has an empty folder for its ledger."""
    return Settings.model_validate(
        {
            "node": "pbx-1",
            "registry": {"source": str(tmp_path / "registry.yaml"), "trust": "unsigned"},
            "association": {"member": "m-0001"},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.sqlite3", "key_file": str(tmp_path / "ledger.key")},
            "console": {"users": str(tmp_path / "users.yaml")},
        }
    )


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running(settings) as one:
        yield one
