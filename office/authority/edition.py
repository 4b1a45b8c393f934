"""The registry's next edition with the signatures it has so far.

Key holders sign an edition together in one place, or pass its folder from one to the next. Its files show each holder
what the signature covers:

    roots/1.root.json                all roots, so that a holder can start from any of them
    before/metadata/registry.json    the published metadata of each role
    before/targets/registry.yaml     the two files as published
    after/metadata/registry.json     the next metadata of the roles that change, with their signatures
    after/targets/registry.yaml      the files that they sign
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, replace_durably, writing_into
from idtone.core.translation import Message
from idtone.registry.trust import tuf_roles

from .group_shared_files import make_folder

_BEFORE, _AFTER, _ROOTS = "before", "after", "roots"
_KINDS: Final[dict[str, type[Root | Snapshot | Targets | Timestamp]]] = {
    "root": Root,
    "snapshot": Snapshot,
    "timestamp": Timestamp,
}


@dataclass(frozen=True)
class Edition:
    """A registry edition: draft TUF metadata, the files it covers, and the previously published state.

    `metadata` holds the drafts by role, in the order of `tuf_roles.ROLES`. `before` holds the published metadata and
    is empty for the first edition.
    `targets` and `files` map target paths such as `registry.yaml` to the new and the published content.
    """

    metadata: Mapping[str, Metadata[Any]]
    targets: Mapping[str, bytes]
    before: Mapping[str, Metadata[Any]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    roots: Sequence[Metadata[Root]] = ()
    """All published root metadata, oldest first."""

    def key_metadata(self, name: str) -> list[Root | Targets]:
        """Find the metadata that lists a role's keys. The root role has two: the new root and the published one."""
        parent = "targets" if name in tuf_roles.DELEGATED else "root"
        found = [{**self.before, **self.metadata}[parent].signed]
        if name == "root" and "root" in self.before:
            found.append(self.before["root"].signed)
        return found

    def sign(self, signer: Signer) -> list[str]:
        """Sign every role that the signer's key may sign and return those roles.

        Raises TrustError if the key cannot sign.
        """
        keyid = signer.public_key.keyid
        roles = [
            name
            for name in self.metadata
            if any(keyid in parent.get_delegated_role(name).keyids for parent in self.key_metadata(name))
        ]
        try:
            for name in roles:
                self.metadata[name].sign(signer, append=True)
        except UnsignedMetadataError as error:
            reason = error.__cause__ or error
            raise TrustError(
                "the key {key} cannot sign: {reason}", key=keyid[:8], reason=str(reason) or type(reason).__name__
            ) from error
        return roles

    def missing(self) -> Iterator[Message]:
        """Describe how many signatures each incomplete role has and how many it needs."""
        for name, draft in self.metadata.items():
            for parent in self.key_metadata(name):
                role = parent.get_delegated_role(name)
                try:
                    parent.verify_delegate(name, draft.signed_bytes, draft.signatures)
                except UnsignedMetadataError:
                    good = sum(1 for keyid in role.keyids if self._verifies(parent, name, keyid))
                    yield Message(
                        "{role} needs the signatures of {threshold} of its {count} {keys} keys, and has {good}",
                        role=name,
                        threshold=role.threshold,
                        count=len(role.keyids),
                        keys=tuf_roles.ROLES[name].keys,
                        good=good,
                    )
                    break

    def is_signed_by(self, name: str, keyid: str) -> bool:
        """True if this key has validly signed a role's metadata."""
        return any(
            keyid in parent.get_delegated_role(name).keyids and self._verifies(parent, name, keyid)
            for parent in self.key_metadata(name)
        )

    def _verifies(self, parent: Root | Targets, name: str, keyid: str) -> bool:
        draft = self.metadata[name]
        signature = draft.signatures.get(keyid)
        if signature is None:
            return False
        try:
            parent.get_key(keyid).verify_signature(signature, draft.signed_bytes)
        except (UnverifiedSignatureError, VerificationError):
            return False
        return True

    def check_complete(self) -> None:
        """Check that every role has enough signatures. Raises TrustError if one has too few."""
        missing = next(self.missing(), None)
        if missing:
            raise TrustError(missing)

    def signers_by_role(self) -> dict[str, list[str]]:
        """Ids of the keys with valid signatures, by role."""
        return {
            name: sorted(keyid for keyid in draft.signatures if self.is_signed_by(name, keyid))
            for name, draft in self.metadata.items()
        }

    def without_published(self) -> Edition:
        """Copy of the edition without roles and files that an interrupted publication has already published."""
        done = {
            name
            for name, draft in self.metadata.items()
            if name in self.before and draft.signed_bytes == self.before[name].signed_bytes
        }
        metadata = {name: draft for name, draft in self.metadata.items() if name not in done}
        named = {path for name in done & set(tuf_roles.DELEGATED) for path in self.metadata[name].signed.targets}
        targets = {path: octets for path, octets in self.targets.items() if path not in named}
        return replace(self, metadata=metadata, targets=targets)

    # -- from holder to holder ----------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """Write the edition to a new folder. Raises UsageError if the folder exists or cannot be written.

        Other accounts cannot read the files because an edition contains members' numbers. If the parent folder is
        shared with a group, only that group can enter the folder.
        """
        if folder.exists():
            raise UsageError("{folder}: exists already; remove it, or name another folder", folder=folder)
        with writing_into(folder, UsageError):
            make_folder(folder / _ROOTS)
            for root in self.roots:
                replace_durably(folder / _ROOTS / f"{root.signed.version}.root.json", root.to_bytes())
            for part, metadata, targets in ((_BEFORE, self.before, self.files), (_AFTER, self.metadata, self.targets)):
                make_folder(folder / part / tuf_roles.METADATA)
                for name, one in metadata.items():
                    replace_durably(_file(folder, part, name), one.to_bytes())
                for path, octets in targets.items():
                    target = folder / part / tuf_roles.TARGETS / path
                    make_folder(target.parent)
                    replace_durably(target, octets)

    def write_signatures(self, folder: Path) -> None:
        """Write the signatures back to the edition's folder. Raises UsageError."""
        try:
            for name, draft in self.metadata.items():
                replace_durably(_file(folder, _AFTER, name), draft.to_bytes())
        except OSError as error:
            raise UsageError(
                "{folder}: the signatures cannot be written: {reason}", folder=folder, reason=error.strerror
            ) from error


def _file(folder: Path, part: str, name: str) -> Path:
    return folder / part / tuf_roles.METADATA / f"{name}.json"


def is_edition_package(folder: Path) -> bool:
    """True if a folder holds an edition. Raises TrustError if the folder cannot be read."""
    with reading(folder, TrustError, is_choice=True):
        return (folder / _AFTER / tuf_roles.METADATA).is_dir()


def read_edition(folder: Path, name: Path | None = None) -> Edition:
    """Read an edition from a folder. Raises TrustError if the folder is damaged or contains no edition.

    Error messages show `name` instead of the folder's path.
    """
    if not is_edition_package(folder):
        raise TrustError(
            "{folder}: is not a package; `idtone-office publication prepare` writes one", folder=name or folder
        )
    files = PackageFiles(folder, name or folder)
    edition = replace(_published(files), metadata=_metadata(files, _AFTER), targets=_targets(files, _AFTER))
    files.check_whole(edition)
    return edition


def read_published(files: PackageFiles) -> Edition:
    """Read the published part of an edition, without the drafts. Raises TrustError if it is missing or damaged."""
    edition = _published(files)
    files.check_whole(edition)
    return edition


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """Reader for an edition's files in a folder. Error messages show `name` instead of the folder's path."""

    folder: Path
    name: Path

    def damage_error(self, path: str) -> TrustError:
        return TrustError("{path}: is damaged; ask for the package again", path=self.name / path)

    def check_whole(self, edition: Edition) -> None:
        """Check that no role is missing and that every role has keys. Raises TrustError."""
        metadata = {**edition.before, **edition.metadata}
        is_first = bool(edition.metadata) and not edition.before
        for role in tuf_roles.ROLES:
            if role not in metadata:
                path = _file(self.name, _AFTER if is_first else _BEFORE, role)
                raise TrustError("{path}: is missing; ask for the package again", path=path)
        delegations = metadata["targets"].signed.delegations
        if not delegations or not delegations.roles or not tuf_roles.DELEGATED.keys() <= delegations.roles.keys():
            part = _AFTER if "targets" in edition.metadata else _BEFORE
            raise self.damage_error(f"{part}/{tuf_roles.METADATA}/targets.json")

    def read_folder(self, part: str) -> dict[str, bytes]:
        """Read all files in the subfolder `part`, by relative path, or return an empty dict if it is missing.

        Raises TrustError if a file cannot be read.
        """

        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        found = {}
        base = self.folder / part
        try:
            for folder, _, names in os.walk(base, onerror=fail):
                for path in (Path(folder, name) for name in names):
                    if path.is_file():
                        found[path.relative_to(base).as_posix()] = path.read_bytes()
        except OSError as error:
            raise TrustError(
                "{path}: cannot be read ({reason}); ask for the package again",
                path=self.name / part,
                reason=error.strerror,
            ) from error
        return found


def _published(files: PackageFiles) -> Edition:
    roots = [
        _parsed(files, f"{_ROOTS}/{path}", octets, Root)
        for path, octets in files.read_folder(_ROOTS).items()
        if path.endswith(".root.json")
    ]
    before = _metadata(files, _BEFORE)
    return Edition({}, {}, before, _targets(files, _BEFORE), sorted(roots, key=lambda root: int(root.signed.version)))


def _metadata(files: PackageFiles, part: str) -> dict[str, Metadata[Any]]:
    found = files.read_folder(f"{part}/{tuf_roles.METADATA}")
    names = {name: f"{name}.json" for name in tuf_roles.ROLES}
    return {
        name: _parsed(files, f"{part}/{tuf_roles.METADATA}/{file}", found[file], metadata_type(name))
        for name, file in names.items()
        if file in found
    }


def _parsed(files: PackageFiles, path: str, octets: bytes, kind: type[Any]) -> Metadata[Any]:
    try:
        read = Metadata[Any].from_bytes(octets)
        # Content without a canonical form takes no signature.
        is_fitting = type(read.signed) is kind and bool(read.signed_bytes)
    except RepositoryError as error:
        raise files.damage_error(path) from error
    if not is_fitting:
        raise files.damage_error(path)
    return read


def _targets(files: PackageFiles, part: str) -> dict[str, bytes]:
    return files.read_folder(f"{part}/{tuf_roles.TARGETS}")


def metadata_type(role: str) -> type[Root | Snapshot | Targets | Timestamp]:
    """Class of a role's TUF metadata."""
    return _KINDS.get(role, Targets)


def assemble_edition(editions: Mapping[Path, Edition]) -> Edition:
    """Combine copies of an edition into one edition with all their signatures.

    Raises TrustError if the copies differ in anything other than signatures.
    """
    (_, whole), *others = editions.items()
    for folder, copy in others:
        if copy.metadata.keys() != whole.metadata.keys():
            raise TrustError("{folder}: is not a copy of the same edition as the first folder", folder=folder)
        for name, draft in copy.metadata.items():
            if draft.signed_bytes != whole.metadata[name].signed_bytes:
                raise TrustError(
                    "{folder}: its {name} differs from the first folder's; prepare the package again",
                    folder=folder,
                    name=name,
                )
            for keyid, signature in draft.signatures.items():
                if not whole.is_signed_by(name, keyid):
                    whole.metadata[name].signatures[keyid] = signature
    return whole
