"""The registry on this machine, for programs other than the service.

It is an unsigned file or the cached publication.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from idtone.core.errors import TrustError
from idtone.core.settings.settings import RegistrySettings
from idtone.core.yaml_documents import read_text

from .index import RegistryIndex, Signed
from .model import RegistryDocument, SuspensionsDocument
from .parsers import parse_never_originates, parse_registry, parse_suspensions
from .sources import never_originating_of, origin_of, parse_document, read_unsigned_registry, signed_by
from .trust import tuf_roles

if TYPE_CHECKING:
    from .trust.publication_client import Published


@dataclass(frozen=True, slots=True)
class LocalRegistry:
    """A registry and its suspensions, which are also in `document`.

    For an unsigned registry, `signed` is None, and `origin` is the digest of its file. The list of numbers that never
    originate calls may be long, so a published list is only in `signed`.
    """

    source: str
    document: RegistryDocument
    signed: Signed | None = None
    origin: str = ""

    def index(self) -> RegistryIndex:
        return RegistryIndex(self.document, self.signed, self.origin)


def read_local_registry(registry: RegistrySettings) -> LocalRegistry:
    """Load the registry that the settings name.

    Raises DocumentError for faults, including in the settings, and TrustError if the cache is empty.
    """
    root = registry.root_file()
    if root is None:
        return from_file(registry.file())
    from .trust.publication_client import (
        PublicationClient,  # here, because TUF takes longer to import than all the rest
    )

    kept = PublicationClient(root, registry.source, registry.cache).last_good()
    if kept is None:
        raise TrustError(
            "{source} was not fetched to this machine yet; run `idtone registry update`", source=registry.source
        )
    return from_published(registry.source, kept)


def from_file(path: Path) -> LocalRegistry:
    """Load an unsigned registry file. Raises DocumentError."""
    text = read_unsigned_registry(path)
    return LocalRegistry(str(path), parse_document(text, str(path)), origin=origin_of(text))


def from_folder(folder: Path) -> LocalRegistry:
    """Load the current files from the association's folder, published or not. Raises DocumentError."""
    registry, suspensions = folder / tuf_roles.REGISTRY_FILE, folder / tuf_roles.SUSPENSIONS_FILE
    known = _together(
        str(folder),
        parse_registry(read_text(registry), str(registry)),
        parse_suspensions(read_text(suspensions), str(suspensions)),
    )
    listed = folder / tuf_roles.NEVER_ORIGINATES_FILE
    if not listed.exists():
        return known
    numbers = parse_never_originates(read_text(listed), str(listed)).never_originates
    return replace(known, document=known.document.model_copy(update={"never_originates": numbers}))


def from_published(source: str, published: Published) -> LocalRegistry:
    """Load a published registry from the cache. Raises DocumentError or TrustError."""
    suspensions = parse_suspensions(published.read(tuf_roles.SUSPENSIONS_FILE), tuf_roles.SUSPENSIONS_FILE)
    document = parse_registry(published.read(tuf_roles.REGISTRY_FILE), tuf_roles.REGISTRY_FILE)
    return _together(
        source,
        document,
        suspensions,
        signed_by(published, suspensions, never_originating_of(published)),
    )


def _together(
    source: str, document: RegistryDocument, suspensions: SuspensionsDocument, signed: Signed | None = None
) -> LocalRegistry:
    return LocalRegistry(source, document.model_copy(update={"suspensions": suspensions.suspensions}), signed)
