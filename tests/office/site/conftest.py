"""A public site with the lab's data, as the association writes it."""

from pathlib import Path

import pytest

from lab.cached_folders import cached_folder
from lab.office.authority.office import PHRASE, Office
from lab.office.site.published_site import published_site


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `authority`, `keys` and `site`, which no test may change."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IDTONE_PASSPHRASE", PHRASE)
            published_site(Office(folder / "authority", patch))

    return cached_folder(tmp_path_factory, "public-site", make)
