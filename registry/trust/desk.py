"""The association's side: keys, and a repository that is signed anew whenever something in it changes.

A working folder has `registry.yaml` and `suspensions.yaml` as they are edited, and `repository` as it is published.
Keys lie elsewhere, each in an encrypted file of its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)  # fmt: skip
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)  # fmt: skip

from idtone.errors import TrustError
from idtone.files import replace_durably

from ..signed import parse_registry, parse_suspensions
from . import layout

REPOSITORY: Final = "repository"
_KEY_MODE: Final = 0o600


# -- keys -------------------------------------------------------------------------------------------------------------


def make_key(path: Path, passphrase: str) -> CryptoSigner:
    """A new Ed25519 key in an encrypted PEM file. Raises TrustError where the file is there already."""
    if not passphrase:
        raise TrustError("a key needs a passphrase")
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _KEY_MODE)
    except OSError as error:
        raise TrustError(f"{path}: a key cannot be written here: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return CryptoSigner(key)


def load_key(path: Path, passphrase: str) -> CryptoSigner:
    """Raises TrustError where the file is open to others, or is no key of this passphrase."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise TrustError(f"{path}: others can read this key; chmod 600 it, and think about replacing it")
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise TrustError(f"{path}: is no key, or the passphrase is another one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path}: is no Ed25519 key")
    return CryptoSigner(key)


# -- the repository ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    """One working folder. What is published is replaced file by file, the timestamp last: who reads meanwhile has the
    generation of before.
    """

    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / REPOSITORY

    def begin(self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[CryptoSigner], now: datetime) -> None:
        """A new repository: the roles, whose keys they are, and what the two files say. Raises TrustError."""
        self.check_new()
        root = Root(expires=now + layout.ROLES["root"].lasts, consistent_snapshot=True)
        for name in ("root", "targets", "snapshot", "timestamp"):
            for key in keys[layout.ROLES[name].keys]:
                root.add_key(key, name)
            root.roles[name].threshold = layout.ROLES[name].threshold
        delegations = Delegations({}, {})
        targets = Targets(expires=now, delegations=delegations)
        assert delegations.roles is not None
        for name, file in layout.DELEGATED.items():
            role = layout.ROLES[name]
            delegations.roles[name] = DelegatedRole(name, [], role.threshold, terminating=True, paths=[file])
            for key in keys[role.keys]:
                targets.add_key(key, name)
        for folder in (layout.METADATA, layout.TARGETS):
            (self.repository / folder).mkdir(parents=True)
        drafts: dict[str, Metadata[Any]] = {"root": Metadata(root), "targets": Metadata(targets)}
        drafts |= {name: Metadata(Targets(expires=now)) for name in layout.DELEGATED}
        drafts |= {"snapshot": Metadata(Snapshot(expires=now)), "timestamp": Metadata(Timestamp(expires=now))}
        for draft in drafts.values():
            draft.signed.version = 0
        self._sign(drafts, set(drafts), signers, now, self._contents())

    def publish(self, signers: Sequence[CryptoSigner], now: datetime) -> list[str]:
        """Sign what has changed, and everything that depends on it; the roles that were signed.

        What has passed half of its term is signed anew where enough of the signers are its own. Raises DocumentError
        for a file with faults, and TrustError where a role that must be signed has not enough of the signers.
        """
        current, contents = {name: self._current(name) for name in layout.ROLES}, self._contents()
        changed = {
            name
            for name, file in layout.DELEGATED.items()
            if _target(file, contents[file]) != current[name].signed.targets.get(file)
        }
        present = {signer.public_key.keyid for signer in signers}
        due = {
            name
            for name, role in layout.ROLES.items()
            if role.due(current[name].signed.expires, now)
            and len(present & set(_parent(name, current).get_delegated_role(name).keyids)) >= role.threshold
        }
        return self._sign(current, {*changed, *due, "snapshot", "timestamp"}, signers, now, contents)

    def rotate(
        self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[CryptoSigner], now: datetime
    ) -> list[str]:
        """Other keys for some of the sets, and everything signed anew that they sign."""
        current = {name: self._current(name) for name in layout.ROLES}
        affected = {"snapshot", "timestamp"}
        for name, role in layout.ROLES.items():
            if role.keys not in keys:
                continue
            affected |= {name, "targets" if name in layout.DELEGATED else "root"}
            parent = _parent(name, current)
            for keyid in list(parent.get_delegated_role(name).keyids):
                parent.revoke_key(keyid, name)
            for key in keys[role.keys]:
                parent.add_key(key, name)
        return self._sign(current, affected, signers, now, self._contents())

    def check_new(self) -> None:
        """Raises TrustError where there is a repository."""
        if self.repository.exists():
            raise TrustError(f"{self.repository}: there is a repository already")

    def check(self) -> None:
        """Raises DocumentError for a file with faults, TrustError for one that cannot be read."""
        for file, octets in self._contents().items():
            self._check(file, octets)

    def expiries(self) -> Iterator[tuple[str, int, datetime]]:
        """Role, version and until when it counts."""
        for name in layout.ROLES:
            signed = self._current(name).signed
            yield name, signed.version, signed.expires

    # -- how ----------------------------------------------------------------------------------------------------

    def _sign(
        self,
        metadata: dict[str, Metadata[Any]],
        names: set[str],
        signers: Sequence[CryptoSigner],
        now: datetime,
        contents: Mapping[str, bytes],
    ) -> list[str]:
        """`contents` are the two files, read once: what is hashed is what is published."""
        old_root = self._current("root") if self._published("root") else None
        signed = [name for name in layout.ROLES if name in names]
        files: dict[Path, bytes] = {}
        for name in signed:
            role, draft = layout.ROLES[name], metadata[name].signed
            draft.version += 1
            draft.expires = (now + role.lasts).replace(microsecond=0)
            if name in layout.DELEGATED:
                file = layout.DELEGATED[name]
                self._check(file, contents[file])
                target = _target(file, contents[file])
                draft.targets = {file: target}
                files[self.repository / layout.TARGETS / f"{target.hashes['sha256']}.{file}"] = contents[file]
            elif name == "snapshot":
                others = ("targets", *layout.DELEGATED)
                draft.meta = {f"{other}.json": MetaFile(metadata[other].signed.version) for other in others}
            elif name == "timestamp":
                draft.snapshot_meta = MetaFile(metadata["snapshot"].signed.version)
            self._signatures(name, metadata, signers, old_root)
        # In the order of the roles the timestamp comes last.
        files |= {self._file(name, metadata[name].signed.version): metadata[name].to_bytes() for name in signed}
        for path, octets in files.items():
            replace_durably(path, octets)
        return signed

    def _signatures(
        self,
        name: str,
        metadata: dict[str, Metadata[Any]],
        signers: Sequence[CryptoSigner],
        old_root: Metadata[Root] | None,
    ) -> None:
        one = metadata[name]
        one.signatures.clear()
        parents = [_parent(name, metadata)]
        if name == "root" and old_root:
            parents.append(old_root.signed)
        for signer in signers:
            if any(signer.public_key.keyid in parent.get_delegated_role(name).keyids for parent in parents):
                one.sign(signer, append=True)
        for parent in parents:
            try:
                parent.verify_delegate(name, one.signed_bytes, one.signatures)
            except UnsignedMetadataError as error:
                role = parent.get_delegated_role(name)
                raise TrustError(
                    f"{name} takes the signatures of {role.threshold} of its {len(role.keyids)} keys"
                    f" ({layout.ROLES[name].keys}), and {len(one.signatures)} of those given are its keys"
                ) from error

    def _current(self, name: str) -> Metadata[Any]:
        path = self._published(name)
        if path is None:
            raise TrustError(f"{self.repository}: there is no {name}; `idtone registry init` begins a repository")
        try:
            return Metadata[Any].from_file(str(path))
        except (RepositoryError, OSError, ValueError) as error:
            raise TrustError(f"{path}: is not what was published") from error

    def _published(self, name: str) -> Path | None:
        """The latest version."""
        folder = self.repository / layout.METADATA
        if name == "timestamp":
            path = folder / "timestamp.json"
            return path if path.exists() else None
        versions = [(int(path.name.partition(".")[0]), path) for path in folder.glob(f"*.{name}.json")]
        return max(versions)[1] if versions else None

    def _file(self, name: str, version: int) -> Path:
        return self.repository / layout.METADATA / (f"{name}.json" if name == "timestamp" else f"{version}.{name}.json")

    def _contents(self) -> dict[str, bytes]:
        """The two files as they stand in the folder."""
        try:
            return {file: (self.folder / file).read_bytes() for file in layout.DELEGATED.values()}
        except OSError as error:
            raise TrustError(f"{error.filename}: cannot be read: {error.strerror}") from error

    def _check(self, file: str, octets: bytes) -> None:
        check(file, octets.decode("utf-8-sig", "replace"), str(self.folder / file))


def _target(file: str, octets: bytes) -> TargetFile:
    return TargetFile.from_data(file, octets, ["sha256"])


def _parent(name: str, metadata: Mapping[str, Metadata[Any]]) -> Root | Targets:
    """Who says whose keys sign it."""
    parent: Root | Targets = metadata["targets" if name in layout.DELEGATED else "root"].signed
    return parent


def check(file: str, text: str, name: str) -> None:
    """Raises DocumentError with every fault; `name` stands for the file in the faults."""
    if file == layout.REGISTRY_FILE:
        parse_registry(text, name)
    else:
        parse_suspensions(text, name)
