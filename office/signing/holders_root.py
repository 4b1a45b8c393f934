"""The association's root on a holder's computer, which the holder chooses once, from the association's file."""

import hashlib
import os
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, Root

from idtone.core.errors import UsageError
from idtone.registry.trust.roots import read_root

_NAME: Final = "root.json"


def default_folder() -> Path:
    """The folder of programs' settings on this system."""
    base = os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "idtone-sign")


class KeptRoot:
    """The root in one file. It is not secret, but only the holder may change it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def read(self) -> Metadata[Root] | None:
        """The kept root metadata; None if there is none. Raises TrustError if it is damaged."""
        return read_root(self._path) if self._path.exists() else None

    def digest(self) -> str:
        """The SHA-256 of the root, to compare with the one that the association gave by another channel; empty if none
        is stored.
        """
        return hashlib.sha256(self._path.read_bytes()).hexdigest() if self._path.exists() else ""

    def store(self, octets: bytes) -> None:
        """Store this root. Raises TrustError if it is not a root, UsageError if it cannot be written."""
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
