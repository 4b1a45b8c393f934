"""Verifies the public list of licensed operators on the association's website.

index.html            for people
operators.json        for programs: the signed list without the members that have been stopped since it was signed
proof/operators.json  the signed list
proof/N.root.json     which keys count, from the first root on
proof/targets.json    which keys sign the registry
proof/registry.json   what was signed, with the SHA-256 of proof/operators.json
proof/snapshot.json   which versions belong together
proof/timestamp.json  that this is the latest

The site can omit an operator but cannot add one or change an entry.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from idtone.core.errors import TrustError
from idtone.core.files import reading

from . import tuf_roles
from .roots import read_metadata, read_root, verified_successor

PAGE: Final = "index.html"
PROOF: Final = "proof"


def read_site(folder: Path, trust: Path, now: datetime) -> dict[str, Any]:
    """Read and verify the public list of operators, starting from the association's root.

    Raises TrustError if the list has expired or contains anything that was not signed.
    """
    proof = folder / PROOF
    root = _latest(proof, read_root(trust))
    targets, registry = (read_metadata(proof / f"{name}.json", Targets) for name in ("targets", tuf_roles.REGISTRY))
    snapshot = read_metadata(proof / "snapshot.json", Snapshot)
    timestamp = read_metadata(proof / "timestamp.json", Timestamp)
    shown, listed = _octets(folder / tuf_roles.OPERATORS_FILE), _octets(proof / tuf_roles.OPERATORS_FILE)
    try:
        for name, one in (("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)):
            root.signed.verify_delegate(name, one.signed_bytes, one.signatures)
        targets.signed.verify_delegate(tuf_roles.REGISTRY, registry.signed_bytes, registry.signatures)
        registry.signed.targets[tuf_roles.OPERATORS_FILE].verify_length_and_hashes(listed)
        signed, found = json.loads(listed), json.loads(shown)
        is_signed = _is_part(found, signed)
        ends = datetime.fromisoformat(signed["counts_until"])
    except (UnsignedMetadataError, LengthOrHashMismatchError, KeyError, TypeError, ValueError) as error:
        raise TrustError("{folder}: is not what the association signed", folder=folder) from error
    if not is_signed:
        raise TrustError("{folder}: is not what the association signed", folder=folder)
    versions = {name: meta.version for name, meta in snapshot.signed.meta.items()}
    together = (
        timestamp.signed.snapshot_meta.version == snapshot.signed.version
        and versions.get("targets.json") == targets.signed.version
        and versions.get(f"{tuf_roles.REGISTRY}.json") == registry.signed.version
    )
    if not together:
        raise TrustError("{folder}: mixes files of several editions; look for a newer list", folder=folder)
    if now >= min(ends, *(one.signed.expires for one in (root, targets, registry, snapshot, timestamp))):
        raise TrustError("{folder}: has expired; look for a newer list", folder=folder)
    return dict(found)


def _is_part(found: Any, signed: dict[str, Any]) -> bool:
    """True if `found` contains only signed entries. Operators may be missing, but not added or changed."""
    operators = signed["operators"]
    return bool(found == signed | {"operators": [each for each in operators if each in found["operators"]]})


def _octets(path: Path) -> bytes:
    with reading(path, TrustError):
        return path.read_bytes()


def _latest(proof: Path, trusted: Metadata[Root]) -> Metadata[Root]:
    """Latest root metadata. The keys of each root must also have signed the next root."""
    while (path := proof / f"{trusted.signed.version + 1}.root.json").exists():
        trusted = verified_successor(trusted, read_metadata(path, Root))
    return trusted
