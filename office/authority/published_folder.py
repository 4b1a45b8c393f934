"""The repository as other computers read it: a folder that each publication replaces as a whole.

FOLDER/current         a link to the newest copy of the repository; renaming the link is the publication
FOLDER/editions/N-…    the copies: the newest one, and the one before for those who are reading it
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError
from idtone.core.translation import Message
from idtone.registry.trust import tuf_roles

CURRENT: Final = "current"
EDITIONS: Final = "editions"
_MODE: Final = 0o750
"""The folder's group may read it: that of the web server."""


def publish_to(folder: Path, repository: Path, version: int) -> None:
    """Make a copy of the repository the current one, in one step. Raises TrustError; then the one before stays."""
    try:
        (folder / EDITIONS).mkdir(_MODE, parents=True, exist_ok=True)
        edition = Path(tempfile.mkdtemp(prefix=f"{version}-", dir=folder / EDITIONS))
        edition.chmod(_MODE)
        for name in (tuf_roles.METADATA, tuf_roles.TARGETS):
            shutil.copytree(repository / name, edition / name, copy_function=shutil.copyfile)
        os.sync()  # before the link names it
        before = (folder / CURRENT).resolve()
        (edition / CURRENT).symlink_to(Path(EDITIONS, edition.name))
        (edition / CURRENT).replace(folder / CURRENT)
        for each in (folder / EDITIONS).resolve().iterdir():
            if each.name != edition.name and each != before:
                shutil.rmtree(each)
    except OSError as error:
        raise TrustError(
            Message(
                "the edition is in {repository}, but not in {folder}: {reason}; correct it and publish again",
                repository=repository,
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error
