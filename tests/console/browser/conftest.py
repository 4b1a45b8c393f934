"""A browser, and a console with demo data: calls, a registry with suspensions, the association's folder of a year."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.console.counts_file import write_counts
from idtone.console.statistics import count_calls, counts_path
from idtone.core.settings.settings import Settings
from lab.chromium import find_or_get_chromium
from lab.console.brake_holds import write_holds
from lab.console.browser.browser import Browser
from lab.console.browser.browser import browser as started
from lab.console.own_stops import write_own_stops
from lab.console.past_calls import write_past_calls
from lab.console.site import Site, site_in_thread
from lab.publication import LAB_REGISTRY

CALLS = 300


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    folder = tmp_path_factory.mktemp("browser")
    with started(find_or_get_chromium(folder), folder) as one:
        yield one


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, year: Path) -> Iterator[Site]:
    """A console with demo data, in a thread of its own, because the browser's driver waits."""
    folder = tmp_path_factory.mktemp("demo")
    settings = demo_settings(folder, year / "office")
    write_past_calls(settings, CALLS, timedelta(hours=24), datetime.now(UTC))
    write_counts(
        counts_path(settings), count_calls(settings, "", None, progress=lambda *_: None)
    )  # without them a page has fewer links
    write_own_stops(settings)
    write_holds(settings, "another")  # whose calls have no page here
    with site_in_thread(settings) as site:
        yield site


def demo_settings(folder: Path, office: Path) -> Settings:
    return Settings.model_validate(
        {
            "node": "pbx-1",
            "sounds": {"directory": str(folder / "sounds")},
            "registry": {"source": str(LAB_REGISTRY), "trust": "unsigned"},
            "association": {"member": "m-0001"},
            "ledger": {"url": f"sqlite:///{folder}/ledger.sqlite3", "key_file": str(folder / "ledger.key")},
            "console": {"users": str(folder / "users.yaml"), "office": str(office)},
        }
    )
