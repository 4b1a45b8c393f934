"""The published registry for the public site: members, an index of the numbers, and the editions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import Metadata, Root

from idtone.core.errors import TrustError
from idtone.registry.file_kinds import KINDS
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.model import RegistryDocument, SuspensionsDocument
from idtone.registry.never_originating import compiled_never_originating
from idtone.registry.trust import tuf_roles

from ..authority.signed_repository import SignedRepository
from .public_statement import Editions, editions_of


@dataclass(frozen=True, slots=True)
class PublishedRegistry:
    """A published registry. `metadata` holds the signed metadata under the file names that TUF clients request."""

    document: RegistryDocument
    suspensions: SuspensionsDocument
    index: RegistryIndex
    editions: Editions
    root: Root
    metadata: dict[str, bytes]


def published_registry(repository: SignedRepository) -> PublishedRegistry:
    """Read a repository's published registry.

    Raises TrustError if nothing was published, or DocumentError if a file has a fault.
    """
    return published_of(
        repository.all_current_metadata(), repository.files(), list(repository.metadata_versions("root"))
    )


def published_of(
    roles: Mapping[str, Metadata[Any]], files: Mapping[str, bytes], roots: Sequence[Metadata[Root]]
) -> PublishedRegistry:
    """Read the registry from published metadata and files.

    Raises TrustError if nothing was published, or DocumentError if a file has a fault.
    """
    found: dict[str, Any] = {}
    for role, file in tuf_roles.DELEGATED.items():
        octets = files.get(file)
        if octets is not None:
            found[role] = KINDS[role].parse(octets.decode("utf-8-sig"), file)
        elif file not in tuf_roles.OPTIONAL:
            raise TrustError("{file} was never published; publish it first", file=file)
    document, suspensions = found[tuf_roles.REGISTRY], found[tuf_roles.SUSPENSIONS]
    never = found.get(tuf_roles.NEVER_ORIGINATES)
    expires = min(one.signed.expires for one in roles.values())
    index = RegistryIndex(
        document,
        Signed(
            suspensions,
            expires,
            never_originating=never and compiled_never_originating(never.never_originates, never.issued),
        ),
    )
    editions = editions_of(roles, tuf_roles.DELEGATED, document.registry.association)
    return PublishedRegistry(document, suspensions, index, editions, roles["root"].signed, _metadata(roles, roots))


def _metadata(roles: Mapping[str, Metadata[Any]], roots: Sequence[Metadata[Root]]) -> dict[str, bytes]:
    named = {f"{root.signed.version}.root.json": root.to_bytes() for root in roots}
    others = {
        "timestamp.json" if name == "timestamp" else f"{one.signed.version}.{name}.json": one.to_bytes()
        for name, one in roles.items()
        if name != "root"
    }
    return named | others
