"""The folder that is put on the association's web site: the list of operators, its page, and the proof of both.

index.html           for people
operators.json       for programs
proof/N.root.json    whose keys count, from the first edition on
proof/targets.json   who signs the registry
proof/registry.json  what was signed: the SHA-256 of operators.json among it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from idtone.errors import TrustError, UsageError
from idtone.files import replace_durably

from ..trust import layout
from . import operators
from .examining import followed

PAGE: Final = "index.html"
PROOF: Final = "proof"


def write_site(folder: Path, listed: bytes, proof: Mapping[str, bytes]) -> None:
    """`listed` is operators.json, `proof` the signed metadata by file name. Raises UsageError."""
    try:
        (folder / PROOF).mkdir(parents=True, exist_ok=True)
        for name, octets in proof.items():
            replace_durably(folder / PROOF / name, octets)
        replace_durably(folder / layout.OPERATORS_FILE, listed)
        replace_durably(folder / PAGE, operators.page(listed))
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error


def read_site(folder: Path, trust: Path, now: datetime) -> dict[str, Any]:
    """The list, held against the association's root. Raises TrustError where it is not what was signed, or no more."""
    proof = folder / PROOF
    root = _latest(proof, read_root(trust))
    targets, registry = (_read(proof / f"{name}.json", Targets) for name in ("targets", layout.REGISTRY))
    snapshot, timestamp = _read(proof / "snapshot.json", Snapshot), _read(proof / "timestamp.json", Timestamp)
    listed = _octets(folder / layout.OPERATORS_FILE)
    try:
        for name, one in (("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)):
            root.signed.verify_delegate(name, one.signed_bytes, one.signatures)
        targets.signed.verify_delegate(layout.REGISTRY, registry.signed_bytes, registry.signatures)
        registry.signed.targets[layout.OPERATORS_FILE].verify_length_and_hashes(listed)
        found: dict[str, Any] = json.loads(listed)
        ends = datetime.fromisoformat(found["counts_until"])
    except (UnsignedMetadataError, LengthOrHashMismatchError, KeyError, ValueError) as error:
        raise TrustError(f"{folder}: is not what the association signed") from error
    versions = {name: meta.version for name, meta in snapshot.signed.meta.items()}
    together = (
        timestamp.signed.snapshot_meta.version == snapshot.signed.version
        and versions.get("targets.json") == targets.signed.version
        and versions.get(f"{layout.REGISTRY}.json") == registry.signed.version
    )
    if not together:
        raise TrustError(f"{folder}: is put together of several editions; look whether there is a newer list")
    if now >= min(ends, *(one.signed.expires for one in (root, targets, registry, snapshot, timestamp))):
        raise TrustError(f"{folder}: has expired; look whether there is a newer list")
    return found


def read_root(path: Path) -> Metadata[Root]:
    """Raises TrustError for what is no root."""
    return _read(path, Root)


def _read(path: Path, kind: type[Any]) -> Metadata[Any]:
    try:
        found = Metadata[Any].from_bytes(_octets(path))
    except RepositoryError as error:
        raise TrustError(f"{path}: is not what the association signed") from error
    if type(found.signed) is not kind:
        raise TrustError(f"{path}: is not the association's {kind.__name__.lower()}")
    return found


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error.strerror}") from error


def _latest(proof: Path, trusted: Metadata[Root]) -> Metadata[Root]:
    """The latest root, each signed by the keys of the one before as well."""
    while (path := proof / f"{trusted.signed.version + 1}.root.json").exists():
        trusted = followed(trusted, _read(path, Root))
    return trusted
