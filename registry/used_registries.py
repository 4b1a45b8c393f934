"""Archive of the registries that this node has based decisions on, for later evidence.

    DIGEST.json     the names of the files of one registry with their SHA-256, and its signed metadata
    SHA256.gz       a file; registries share those that did not change

`DIGEST` is the detail `registry_sha256` of a decision. A registry is kept for as long as calls' numbers can be opened.
"""

import gzip
import hashlib
import json
import logging
import re
import shutil
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from idtone.core.errors import TrustError
from idtone.core.files import draft, replace_durably

log = logging.getLogger(__name__)

FOLDER: Final = "used"
"""Folder in the registry's cache."""
UNSIGNED: Final = "registry"
"""The name of an unsigned registry's only file."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST: Final = 64 * 1024 * 1024
_PIECE: Final = 2**18


def metadata_digest(metadata: Mapping[str, bytes]) -> str:
    """Digest of signed metadata, equal to the SHA-256 of the output of `sha256sum` for the files."""
    lines = (f"{hashlib.sha256(octets).hexdigest()}  {name}\n" for name, octets in sorted(metadata.items()))
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class UsedRegistry:
    """A registry in the archive.

    `files` maps each file to its SHA-256. `metadata` holds the signed metadata, which is empty for an unsigned
    registry.
    """

    sha256: str
    files: Mapping[str, str]
    metadata: Mapping[str, bytes] = field(default_factory=dict)


class UsedRegistries:
    """Folder of archived registries. Several programs may write to it at once, because they write identical files."""

    def __init__(self, folder: Path, kept: timedelta | None = None) -> None:
        """Set the folder and how long a registry is kept after its last use; None means forever."""
        self._folder = folder
        self._kept = kept

    def put(self, used: UsedRegistry, read: Callable[[str], BinaryIO]) -> None:
        """Archive a registry. `read` opens one of its files.

        Failures are only logged, because calls need the registry even if it cannot be archived.
        """
        try:
            self._put(used, read)
        except OSError as error:
            log.error("this registry cannot be kept for evidence: %s: %s", error.filename, error.strerror)

    def _put(self, used: UsedRegistry, read: Callable[[str], BinaryIO]) -> None:
        whole = self._folder / f"{used.sha256}.json"
        if whole.exists():
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, digest in used.files.items():
            path = self._folder / f"{digest}.gz"
            if not path.exists():
                with read(name) as file, draft(path) as new:
                    # The lowest level, because a suspension waits for this if the registry is large.
                    with gzip.GzipFile("", "wb", 1, new.file, mtime=0) as packed:
                        shutil.copyfileobj(file, packed, _PIECE)
                    new.put()
        metadata = {name: b64encode(octets).decode() for name, octets in used.metadata.items()}
        replace_durably(whole, json.dumps({"files": dict(used.files), "metadata": metadata}).encode("ascii"))
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove registries whose successor is older than `kept` and files that no other registry needs."""
        if self._kept is None:
            return
        before = time.time() - self._kept.total_seconds()
        known = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        old = [path for path, after in pairwise(known) if after.stat().st_mtime < before]
        for path in old:
            path.unlink()
        if old:
            needed = {digest for path in known if path not in old for digest in self._read(path.stem).files.values()}
            for path in self._folder.glob("*.gz"):
                if path.stem not in needed:
                    path.unlink()

    def find(self, sha256: str) -> UsedRegistry | None:
        """Registry with the given digest, or None. Raises TrustError if it is damaged or unreadable."""
        if not _DIGEST.fullmatch(sha256) or not self._exists(sha256):
            return None
        return self._read(sha256)

    def latest(self) -> UsedRegistry | None:
        """Registry with the highest version, or None. Raises TrustError if one is damaged or unreadable.

        Among equal versions, the newest file counts. The version takes precedence over the time, because files in a
        restored folder have new times.
        """
        try:
            came = {path.stem: path.stat().st_mtime_ns for path in self._folder.glob("*.json")}
        except OSError as error:
            raise _unreadable(self._folder, error) from error
        known = [self._read(name) for name in came]
        return max(known, key=lambda each: (_version(each), came[each.sha256]), default=None)

    def _exists(self, sha256: str) -> bool:
        try:
            return (self._folder / f"{sha256}.json").exists()
        except OSError as error:
            raise _unreadable(self._folder, error) from error

    def _read(self, sha256: str) -> UsedRegistry:
        path = self._folder / f"{sha256}.json"
        try:
            found = json.loads(path.read_bytes())
            metadata = {name: b64decode(text, validate=True) for name, text in found["metadata"].items()}
            return UsedRegistry(sha256, {str(k): str(v) for k, v in found["files"].items()}, metadata)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise _unreadable(path, error) from error

    def octets(self, used: UsedRegistry, file: str) -> bytes:
        """Content of a file in an archived registry. Raises TrustError."""
        path = self._folder / f"{used.files[file]}.gz"
        try:
            with gzip.open(path) as opened:
                octets = opened.read(_LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(path, error) from error
        if hashlib.sha256(octets).hexdigest() != used.files[file]:
            raise TrustError("{path}: was changed here", path=path)
        return octets


def _version(used: UsedRegistry) -> int:
    """Version of a signed registry, or -1 for an unsigned one."""
    try:
        return int(json.loads(used.metadata["registry.json"])["signed"]["version"])
    except (ValueError, LookupError, TypeError):
        return -1


def _unreadable(path: Path, error: Exception) -> TrustError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return TrustError("{path}: cannot be read: {reason}", path=path, reason=reason)
