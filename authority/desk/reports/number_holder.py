"""Which member was in charge of a number at the time of a call, by the editions of the registry that were published:
the member that held it, or the last one of its wholesale chain.

The repository keeps every edition. An edition counts from its `issued` until the next one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from idtone.numbers import Number
from idtone.registry.index import RegistryIndex
from idtone.registry.parsers import parse_registry
from idtone.registry.trust import tuf_roles

from ...workspace import Workspace


class Basis(StrEnum):
    """By what the holder is known."""

    EDITION = "edition"
    """By the edition of that time."""
    EARLIEST = "earliest"
    """The call was before the earliest edition, which is taken instead."""
    UNPUBLISHED = "unpublished"
    """Nothing was published yet; by registry.yaml as it is now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """`member` is None if no member held the number."""

    member: str | None
    basis: Basis


def holder_at(workspace: Workspace, number: Number, at: datetime) -> Holder:
    """Raises IdtoneError if an edition cannot be read."""
    earliest: str | None = None
    for earliest in workspace.repository.digests(tuf_roles.REGISTRY):
        if _issued(workspace, earliest) <= at:
            return Holder(_edition(workspace, earliest).member(number), Basis.EDITION)
    if earliest:
        return Holder(_edition(workspace, earliest).member(number), Basis.EARLIEST)
    return Holder(_index(workspace.octets(tuf_roles.REGISTRY_FILE)).member(number), Basis.UNPUBLISHED)


@lru_cache(maxsize=4096)
def _issued(workspace: Workspace, sha256: str) -> datetime:
    return _edition(workspace, sha256).issued


@lru_cache(maxsize=4)
def _edition(workspace: Workspace, sha256: str) -> RegistryIndex:
    return _index(workspace.repository.edition(tuf_roles.REGISTRY, sha256))


def _index(octets: bytes) -> RegistryIndex:
    return RegistryIndex(parse_registry(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE))
