"""The association's metadata (TUF) for a verifier: its root, and the current metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from idtone.core.errors import UsageError

from ..disclosure.log_binding import ROLES

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_NAME: Final = re.compile(r"(?:([0-9]{1,9})\.)?(root|targets|registry)\.json")


def read_root(path: Path) -> Metadata[Root]:
    """The association's root in a file. Raises UsageError if the file is something else."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        found: Metadata[Root] = Metadata[Root].from_bytes(path.read_bytes())
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
    except OSError as error:
        raise UsageError("{path}: cannot be read: {reason}", path=path, reason=error.strerror) from error
    except (RepositoryError, ValueError, AttributeError) as error:
        raise UsageError("{path}: is not the association's root; take its root.json", path=path) from error
    return found


def read_metadata(folder: Path) -> dict[str, bytes]:
    """The association's present metadata about logs: ROLE.json, or the latest N.ROLE.json, as in its repository. Raises
    UsageError if one is missing.
    """
    found: dict[str, tuple[int, Path]] = {}
    for path in folder.glob("*.json"):
        if named := _NAME.fullmatch(path.name):
            found[named[2]] = max(found.get(named[2], (-1, path)), (int(named[1] or 0), path))
    if missing := [f"{role}.json" for role in ROLES if role not in found]:
        raise UsageError(
            "{folder}: {name} is missing; take the folder `metadata` of the association's repository",
            folder=folder,
            name=missing[0],
        )
    try:
        return {f"{role}.json": path.read_bytes() for role, (_, path) in found.items()}
    except OSError as error:
        raise UsageError("{path}: cannot be read: {reason}", path=error.filename, reason=error.strerror) from error
