"""The metadata of a registry as evidence shows them: whether the association signed them, and what they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from idtone.core.errors import TrustError
from idtone.core.translation import Message

from . import tuf_roles

_KINDS: Final[Mapping[str, type[Any]]] = {"root": Root, "snapshot": Snapshot, "timestamp": Timestamp}
_ROOT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ShownMetadata:
    """`numbers` has the root of the entries of each file (`number_entries`), `sha256` its digest. `expires` is the
    earliest expiry of the signatures. `root_is_known`: it follows from a root that the verifier has.
    """

    numbers: Mapping[str, str]
    sha256: Mapping[str, str]
    expires: datetime
    root_is_known: bool


def verified(metadata: Mapping[str, bytes], trusted: Metadata[Root] | None) -> ShownMetadata:
    """What the metadata (`root.json`, …) say. Expired signatures count: the decision looks at `expires`.

    `trusted` is the association's root from another source, the same one or one whose keys have signed this one.
    Raises TrustError.
    """
    found: dict[str, Metadata[Any]] = {}
    for name, octets in metadata.items():
        role = name.removesuffix(".json")
        try:
            found[role] = Metadata[Any].from_bytes(octets)
        except RepositoryError as error:
            raise _unfit(name) from error
        if role not in tuf_roles.ROLES or type(found[role].signed) is not _KINDS.get(role, Targets):
            raise _unfit(name)
    required = set(tuf_roles.ROLES) - {role for role, file in tuf_roles.DELEGATED.items() if file in tuf_roles.OPTIONAL}
    if missing := required - found.keys():
        raise _unfit(f"{min(missing)}.json")
    root, targets = found["root"].signed, found["targets"].signed
    try:
        for role, one in found.items():
            parent = targets if role in tuf_roles.DELEGATED else root
            parent.verify_delegate(role, one.signed_bytes, one.signatures)
        if trusted is not None and trusted.signed_bytes != found["root"].signed_bytes:
            trusted.signed.verify_delegate("root", found["root"].signed_bytes, found["root"].signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise TrustError(Message("the association has not signed what the pack shows: {error}", error=error)) from error
    _check_versions(found)
    numbers: dict[str, str] = {}
    digests: dict[str, str] = {}
    for role, file in tuf_roles.DELEGATED.items():
        target = found[role].signed.targets.get(file) if role in found else None
        if target is None:
            if file not in tuf_roles.OPTIONAL:
                raise _unfit(f"{role}.json")
            continue
        numbers[file] = str((target.custom or {}).get("numbers"))
        digests[file] = target.hashes.get("sha256", "")
        if not _ROOT.fullmatch(numbers[file]):
            raise _unfit(f"{role}.json")
    return ShownMetadata(numbers, digests, min(one.signed.expires for one in found.values()), trusted is not None)


def _check_versions(found: Mapping[str, Metadata[Any]]) -> None:
    """Raises TrustError unless the metadata belong together."""
    snapshot = found["snapshot"].signed
    if found["timestamp"].signed.snapshot_meta.version != snapshot.version:
        raise _unfit("timestamp.json")
    for role in ("targets", *tuf_roles.DELEGATED):
        named = snapshot.meta.get(f"{role}.json")
        if (named.version if named else None) != (found[role].signed.version if role in found else None):
            raise _unfit(f"{role}.json")


def _unfit(name: str) -> TrustError:
    return TrustError(Message("{name} in the pack is not metadata of the registry that was used", name=name))
