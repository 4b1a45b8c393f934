"""Copy of the signed repository for a web server or another computer.

The folder `editions/N-…` holds a copy of version N. The two newest copies are kept because clients may still be reading
the older one. The link `current` points to the newest copy. A publication takes effect when the link is renamed.
"""

import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError
from idtone.registry.trust import tuf_roles

CURRENT: Final = "current"
EDITIONS: Final = "editions"
_FOLDER_MODE: Final = 0o750
_FILE_MODE: Final = 0o640
"""Mode of the copied files. The folder's group, to which the web server belongs, may only read them."""
_NEWEST: Final = Path(tuf_roles.METADATA, "timestamp.json")


def publish_to(folder: Path, repository: Path, version: int) -> None:
    """Copy the repository to `folder` and atomically make the copy the current one.

    On failure, raises TrustError and keeps the previous copy.
    """
    try:
        folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        (folder / EDITIONS).mkdir(_FOLDER_MODE, exist_ok=True)
        edition = folder / EDITIONS / f"{version}-{secrets.token_hex(4)}"
        edition.mkdir(_FOLDER_MODE)
        for name in (tuf_roles.METADATA, tuf_roles.TARGETS):
            _copy(repository / name, edition / name)
        group = folder.stat().st_gid
        for path in (folder / EDITIONS, edition, *edition.rglob("*")):
            _let_group_read(path, group)
        os.sync()  # before the link names it
        before = (folder / CURRENT).resolve()
        (edition / CURRENT).symlink_to(Path(EDITIONS, edition.name))
        (edition / CURRENT).replace(folder / CURRENT)
        for each in (folder / EDITIONS).resolve().iterdir():
            if each.name != edition.name and each != before:
                shutil.rmtree(each)
    except OSError as error:
        raise TrustError(
            "the edition is in {repository}, but not in {folder}: {reason}; correct it, and run `idtone-office "
            "publication copy`",
            repository=repository,
            folder=folder,
            reason=error.strerror or error,
        ) from error


def is_newest(folder: Path, repository: Path) -> bool:
    """True if the current copy is the repository's latest publication."""
    try:
        return (folder / CURRENT / _NEWEST).read_bytes() == (repository / _NEWEST).read_bytes()
    except OSError:
        return False


def _copy(source: Path, target: Path) -> None:
    """Copy a folder. Unlike by `shutil.copytree`, the copy gets no modes from the source."""
    target.mkdir(_FOLDER_MODE)
    for each in source.iterdir():
        if each.is_dir():
            _copy(each, target / each.name)
        else:
            shutil.copyfile(each, target / each.name)


def _let_group_read(path: Path, group: int) -> None:
    status = path.stat()
    if status.st_gid != group:
        os.chown(path, -1, group)
    mode = _FOLDER_MODE | status.st_mode & stat.S_ISGID if path.is_dir() else _FILE_MODE
    # The console's unit may set no set-group-ID bit (RestrictSUIDSGID). With its umask, a new folder has the mode.
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)
