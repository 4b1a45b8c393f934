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
from tuf.api.metadata import Metadata, Root, Targets

from idtone.errors import TrustError, UsageError
from idtone.files import replace_durably

from ..trust import layout
from . import operators

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
    try:
        listed = (folder / layout.OPERATORS_FILE).read_bytes()
        root = _root(folder / PROOF, Metadata[Root].from_file(str(trust)))
        targets = Metadata[Targets].from_file(str(folder / PROOF / "targets.json"))
        root.signed.verify_delegate("targets", targets.signed_bytes, targets.signatures)
        registry = Metadata[Targets].from_file(str(folder / PROOF / f"{layout.REGISTRY}.json"))
        targets.signed.verify_delegate(layout.REGISTRY, registry.signed_bytes, registry.signatures)
        registry.signed.targets[layout.OPERATORS_FILE].verify_length_and_hashes(listed)
        for one in (root, targets, registry):
            if one.signed.is_expired(now):
                raise TrustError(f"{folder}: its signatures have expired; look whether there is a newer list")
        return dict(json.loads(listed))
    except OSError as error:
        raise TrustError(f"{error.filename or folder}: cannot be read: {error.strerror}") from error
    except (UnsignedMetadataError, LengthOrHashMismatchError, RepositoryError, KeyError, ValueError) as error:
        raise TrustError(f"{folder}: is not what the association signed") from error


def _root(proof: Path, trusted: Metadata[Root]) -> Metadata[Root]:
    """The latest, each signed by the keys of the one before as well."""
    while (path := proof / f"{trusted.signed.version + 1}.root.json").exists():
        later = Metadata[Root].from_file(str(path))
        for parent in (trusted.signed, later.signed):
            parent.verify_delegate("root", later.signed_bytes, later.signatures)
        if later.signed.version != trusted.signed.version + 1:
            raise UnsignedMetadataError("a root of another version")
        trusted = later
    return trusted
