"""The association's root metadata: a copy from a trusted source and its successors."""

from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root

from idtone.core.errors import TrustError
from idtone.core.files import read_octets


def read_root(path: Path) -> Metadata[Root]:
    """Read a root metadata file. Raises TrustError if the file is not root metadata."""
    return read_metadata(path, Root)


def read_metadata(path: Path, kind: type[Any]) -> Metadata[Any]:
    """Read metadata of one kind without verifying it. Raises TrustError."""
    try:
        found = Metadata[Any].from_bytes(read_octets(path, TrustError))
    except RepositoryError as error:
        raise TrustError("{path}: is not what the association signed", path=path) from error
    if type(found.signed) is not kind:
        raise TrustError("{path}: is not the association's {kind}", path=path, kind=kind.__name__.lower())
    return found


def verified_successor(root: Metadata[Root], later: Metadata[Root]) -> Metadata[Root]:
    """The later root, after verifying that the keys of both roots have signed it. Raises TrustError."""
    unfit = f"root {later.signed.version} was not signed by the keys of the root before it"
    if type(later.signed) is not Root or later.signed.version != root.signed.version + 1:
        raise TrustError(unfit)
    try:
        for parent in (root.signed, later.signed):
            parent.verify_delegate("root", later.signed_bytes, later.signatures)
    except UnsignedMetadataError as error:
        raise TrustError(unfit) from error
    return later
