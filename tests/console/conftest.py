from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from idtone.core.settings.settings import Settings
from lab.console.office_forms import SECOND
from lab.console.site import Site, running_site
from lab.office.authority.office import new_office, office

__all__ = ["new_office", "office"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a node that has an empty folder for its ledger."""
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
    async with running_site(settings) as one:
        yield one


@pytest.fixture
async def site_of(settings) -> AsyncIterator[object]:
    """Function that starts a console for the folder of an association."""
    async with AsyncExitStack() as stack:

        async def start(folder: Path) -> Site:
            console = settings.console.model_copy(update={"office": folder})
            return await stack.enter_async_context(
                running_site(settings.model_copy(update={"console": console}), SECOND)
            )

        yield start


@pytest.fixture
async def public(settings, office) -> AsyncIterator[Site]:
    console = settings.console.model_copy(update={"office": office.folder})
    async with running_site(settings.model_copy(update={"console": console})) as site:
        yield site
