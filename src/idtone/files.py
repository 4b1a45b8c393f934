"""Files that are there as a whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_durably(path: Path, octets: bytes, mode: int = 0o644, group: int = -1) -> None:
    """`group` is a group's id, -1 the one that a new file gets here. Raises OSError; then nothing has changed."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            os.fchown(descriptor, -1, group)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
