"""Verification of the registry's signed metadata (TUF) as part of evidence."""

from collections.abc import Mapping
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from .errors import TrustError
from .translation import Message

_TOP: Final[Mapping[str, type[Any]]] = {"root": Root, "targets": Targets, "snapshot": Snapshot, "timestamp": Timestamp}
"""The roles that the root names. `targets` names all others, whose metadata has the same type as its own."""


def read_signed(metadata: Mapping[str, bytes], trusted: Metadata[Root] | None) -> dict[str, Metadata[Any]]:
    """Parse and verify metadata (`root.json`, `targets.json`, …). Returns it by role. Accepts expired signatures.

    `trusted` is the association's root metadata from another source. It must be the same root, or an earlier root whose
    keys signed the root in `metadata`. Raises TrustError.
    """
    found: dict[str, Metadata[Any]] = {}
    for name, octets in metadata.items():
        role = name.removesuffix(".json")
        try:
            found[role] = Metadata[Any].from_bytes(octets)
        except RepositoryError as error:
            raise unfit(name) from error
        if type(found[role].signed) is not _TOP.get(role, Targets):
            raise unfit(name)
    try:
        root, targets = found["root"], found["targets"]
        for role, one in found.items():
            parent = root if role in _TOP else targets
            parent.signed.verify_delegate(role, one.signed_bytes, one.signatures)
        if trusted is not None and trusted.signed_bytes != root.signed_bytes:
            trusted.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    except (RepositoryError, ValueError, LookupError) as error:
        words = Message("the association has not signed what is shown of its registry: {error}", error=error)
        raise TrustError(words) from error
    return found


def unfit(name: str) -> TrustError:
    """Error for metadata of the wrong kind or from a different registry."""
    return TrustError("{name} is not metadata of the registry that was used", name=name)
