"""The signed repository that members read: every version of the TUF metadata, and the files it names.

The folder `metadata` holds every version of each role, such as `3.registry.json`, but only the latest `timestamp.json`.
The folder `targets` holds the files under their SHA-256, such as `tones/SHA256.sample.wav`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from idtone.core.errors import TrustError
from idtone.core.files import reading, replace_durably, writing_into
from idtone.registry.trust import tuf_roles

from .edition import Edition
from .group_shared_files import make_folder

_FOLDER: Final = 0o755
"""Mode of the folders, which lets a web server under another account read them."""


@dataclass(frozen=True, slots=True)
class SignedRepository:
    """A signed repository in a folder.

    A new edition replaces the files one by one, with the timestamp last. Until then, readers see the previous edition.
    """

    folder: Path

    def check_new(self) -> None:
        """Check that the folder contains no published repository. Raises TrustError if it does.

        A repository without a timestamp does not count, because its first publication was interrupted.
        """
        if self._latest("timestamp"):
            raise TrustError("{folder}: there is a repository already; name another folder", folder=self.folder)

    # -- metadata -----------------------------------------------------------------------------------------------------

    def current_metadata(self, name: str) -> Metadata[Any]:
        """Read the latest metadata of a role. Raises TrustError."""
        path = self._latest(name)
        if path is None:
            raise TrustError(
                "{folder}: there is no {name}; `idtone-office publication begin` begins a repository",
                folder=self.folder,
                name=name,
            )
        return _read(path)

    def all_current_metadata(self) -> dict[str, Metadata[Any]]:
        """Read the latest metadata of every role. Raises TrustError."""
        return {name: self.current_metadata(name) for name in tuf_roles.ROLES}

    def metadata_versions(self, name: str) -> Iterator[Metadata[Any]]:
        """Read all versions of a role's metadata, oldest first. For the timestamp, only the latest is stored."""
        for _, path in sorted(self._versions(name)):
            yield _read(path)

    # -- files --------------------------------------------------------------------------------------------------------

    def file_sha256(self, role: str) -> str | None:
        """SHA-256 of a role's published file; None if the file was never published."""
        if self._latest(role) is None:
            return None
        target = self.current_metadata(role).signed.targets.get(tuf_roles.DELEGATED[role])
        return target.hashes["sha256"] if target else None

    def file_octets(self, role: str) -> bytes | None:
        """Read a role's published file, or return None if it was never published.

        Raises TrustError if it is damaged.
        """
        sha256 = self.file_sha256(role)
        return None if sha256 is None else self._content(tuf_roles.DELEGATED[role], sha256)

    def file_sha256s(self, role: str) -> Iterator[str]:
        """SHA-256 of a role's file in each published edition, newest first. Raises TrustError."""
        for _, path in sorted(self._versions(role), reverse=True):
            target = _read(path).signed.targets.get(tuf_roles.DELEGATED[role])
            if target:
                yield str(target.hashes["sha256"])

    def file_by_sha256(self, role: str, sha256: str) -> bytes:
        """Read the published version of a role's file with this SHA-256. Raises TrustError if it is damaged."""
        return self._content(tuf_roles.DELEGATED[role], sha256)

    def refusals(self) -> bytes | None:
        """Read the published list of refusals, or return None if the list was never published. Raises TrustError."""
        if self._latest(tuf_roles.SUSPENSIONS) is None:
            return None
        target = self.current_metadata(tuf_roles.SUSPENSIONS).signed.targets.get(tuf_roles.REFUSALS_FILE)
        return self._content(tuf_roles.REFUSALS_FILE, target.hashes["sha256"]) if target else None

    def files(self) -> dict[str, bytes]:
        """Read the roles' published files and the list of refusals, by file name."""
        published = {file: self.file_octets(role) for role, file in tuf_roles.DELEGATED.items()}
        published[tuf_roles.REFUSALS_FILE] = self.refusals()
        return {file: octets for file, octets in published.items() if octets is not None}

    def operator_list(self) -> bytes:
        """Read the published list of licensed operators, `operators.json`."""
        target = self.current_metadata(tuf_roles.REGISTRY).signed.targets[tuf_roles.OPERATORS_FILE]
        return self._content(tuf_roles.OPERATORS_FILE, target.hashes["sha256"])

    def operator_list_proof(self) -> dict[str, bytes]:
        """Read the metadata that proves `operators.json`, by file name."""
        roots = {path.name: path.read_bytes() for _, path in self._versions("root")}
        names = ("targets", tuf_roles.REGISTRY, "snapshot", "timestamp")
        return roots | {f"{name}.json": self.current_metadata(name).to_bytes() for name in names}

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, edition: Edition) -> list[str]:
        """Write a checked edition's metadata and files and return its roles. Raises TrustError."""
        files: dict[Path, bytes] = {}
        for path, octets in edition.targets.items():
            files[self._target_path(path, hashlib.sha256(octets).hexdigest())] = octets
        # The timestamp comes last in the order of the roles.
        names = [name for name in tuf_roles.ROLES if name in edition.metadata]
        files |= {self._path(name, edition.metadata[name]): edition.metadata[name].to_bytes() for name in names}
        with writing_into(self.folder, TrustError):
            for file, octets in files.items():
                make_folder(file.parent, _FOLDER)
                replace_durably(file, octets)
        return names

    # -- paths --------------------------------------------------------------------------------------------------------

    def _latest(self, name: str) -> Path | None:
        return max(self._versions(name), default=(0, None))[1]

    def _versions(self, name: str) -> list[tuple[int, Path]]:
        folder = self.folder / tuf_roles.METADATA
        if name == "timestamp":
            path = folder / "timestamp.json"
            return [(0, path)] if path.exists() else []
        numbered = ((path.name.partition(".")[0], path) for path in folder.glob(f"*.{name}.json"))
        return [(int(number), path) for number, path in numbered if number.isascii() and number.isdecimal()]

    def _path(self, name: str, metadata: Metadata[Any]) -> Path:
        numbered = "" if name == "timestamp" else f"{metadata.signed.version}."
        return self.folder / tuf_roles.METADATA / f"{numbered}{name}.json"

    def _target_path(self, path: str, sha256: str) -> Path:
        folder, _, name = path.rpartition("/")
        return self.folder / tuf_roles.TARGETS / folder / f"{sha256}.{name}"

    def _content(self, path: str, sha256: str) -> bytes:
        stored = self._target_path(path, sha256)
        with reading(stored, TrustError):
            octets = stored.read_bytes()
        if hashlib.sha256(octets).hexdigest() != sha256:
            raise TrustError("{stored}: is not what was published", stored=stored)
        return octets


def _read(path: Path) -> Metadata[Any]:
    try:
        return Metadata[Any].from_bytes(path.read_bytes())
    except (RepositoryError, OSError) as error:
        raise TrustError("{path}: is not what was published", path=path) from error
