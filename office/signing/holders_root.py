"""The association's root metadata on a key holder's computer.

The key holder stores the root once, using the association's file.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, Root

from idtone.core.errors import UsageError
from idtone.registry.trust.roots import read_root

_NAME: Final = "root.json"


def default_folder() -> Path:
    """The `idtone-sign` folder in the user's configuration folder."""
    base = os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "idtone-sign")


class StoredRoot:
    """File with the stored root metadata, which is not secret but may be changed only by the key holder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def read(self) -> Metadata[Root] | None:
        """Read the stored root metadata, or return None if none is stored. Raises TrustError if the file is damaged."""
        return read_root(self._path) if self._path.exists() else None

    def digest(self) -> str:
        """SHA-256 of the stored root; empty if none is stored.

        The key holder compares it with the SHA-256 that the association provided through another channel.
        """
        return hashlib.sha256(self._path.read_bytes()).hexdigest() if self._path.exists() else ""

    def store(self, octets: bytes) -> None:
        """Store root metadata.

        Raises TrustError if the content is not a root, or UsageError if the file cannot be written.
        """
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("wb") as file:  # closed before it is renamed, as Windows wants it
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            read_root(draft)
            os.replace(draft, self._path)
        except OSError as error:
            raise UsageError("{path}: cannot be written: {reason}", path=self._path, reason=error.strerror) from error
        finally:
            draft.unlink(missing_ok=True)
