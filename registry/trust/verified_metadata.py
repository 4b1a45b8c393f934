"""Verifies registry metadata in evidence: the association's signatures and the signed digests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tuf.api.metadata import Metadata, Root

from idtone.core.signed_metadata import read_signed, unfit

from . import tuf_roles

_ROOT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class VerifiedMetadata:
    """Verified registry metadata.

    `numbers` maps each file to the root of its entries (`number_entries`), and `sha256` maps each file to its digest.
    `expires` is the earliest signature expiry. `root_is_known` is True if the root follows from a root that the
    verifier has.
    """

    numbers: Mapping[str, str]
    sha256: Mapping[str, str]
    expires: datetime
    root_is_known: bool


def verified_metadata(metadata: Mapping[str, bytes], trusted: Metadata[Root] | None) -> VerifiedMetadata:
    """Verify metadata (`root.json`, …). Expired signatures are accepted, because the decision checks `expires`.

    `trusted` is the association's root from another source. It must be the same root, or an earlier root whose keys
    signed the root in `metadata`. Raises TrustError.
    """
    for name in metadata:
        if name.removesuffix(".json") not in tuf_roles.ROLES:
            raise unfit(name)
    optional = {role for role, file in tuf_roles.DELEGATED.items() if file in tuf_roles.OPTIONAL}
    if missing := {f"{role}.json" for role in set(tuf_roles.ROLES) - optional} - metadata.keys():
        raise unfit(min(missing))
    found = read_signed(metadata, trusted)
    _check_versions(found)
    numbers: dict[str, str] = {}
    digests: dict[str, str] = {}
    for role, file in tuf_roles.DELEGATED.items():
        target = found[role].signed.targets.get(file) if role in found else None
        if target is None:
            if file not in tuf_roles.OPTIONAL:
                raise unfit(f"{role}.json")
            continue
        numbers[file] = str((target.custom or {}).get("numbers"))
        digests[file] = target.hashes.get("sha256", "")
        if not _ROOT.fullmatch(numbers[file]):
            raise unfit(f"{role}.json")
    return VerifiedMetadata(numbers, digests, min(one.signed.expires for one in found.values()), trusted is not None)


def _check_versions(found: Mapping[str, Metadata[Any]]) -> None:
    """Raise TrustError unless the metadata versions belong together."""
    snapshot = found["snapshot"].signed
    if found["timestamp"].signed.snapshot_meta.version != snapshot.version:
        raise unfit("timestamp.json")
    for role in ("targets", *tuf_roles.DELEGATED):
        named = snapshot.meta.get(f"{role}.json")
        if (named.version if named else None) != (found[role].signed.version if role in found else None):
            raise unfit(f"{role}.json")
