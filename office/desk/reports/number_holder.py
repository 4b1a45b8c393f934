"""Finds the member responsible for a number at the time of a call, by the published editions of the registry. It is the
member that held the number, or the last one of its wholesale chain.

The repository keeps every edition. An edition counts from its time `issued` until that of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from idtone.core.numbers import Number
from idtone.registry.index import RegistryIndex
from idtone.registry.parsers import parse_registry
from idtone.registry.trust import tuf_roles

from ...authority.workspace import Workspace
from ...authority.yaml_text import read_value

_INSTANT: Final = timedelta.resolution


class Basis(StrEnum):
    """The source from which the holder is known."""

    EDITION = "edition"
    """The edition of that time."""
    EARLIEST = "earliest"
    """The earliest edition: the call was before it."""
    LATER = "later"
    """The newest edition: no edition up to the time of the call names a holder, for example because the first edition
    was empty.
    """
    UNPUBLISHED = "unpublished"
    """The present registry.yaml: nothing was published yet."""
    CHANGED = "changed"
    """The edition of that time; but within the time span of the report, another member held the number."""
    NO_NUMBER = "no-number"
    """The report names no number."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a number. `member` is None if no member held it. `others` are further members that held it within
    the time span of the report.
    """

    member: str | None
    basis: Basis
    others: tuple[str, ...] = ()

    @property
    def members(self) -> Sequence[str]:
        """All members, in the order in which they are asked."""
        return (self.member, *self.others) if self.member else self.others


def holder_of(workspace: Workspace, number: Number, at: datetime, between: tuple[datetime, datetime]) -> Holder:
    """The holder at the moment `at`, and the others from the first moment of `between` until the second, which is
    excluded.

    Raises IdtoneError if an edition cannot be read.
    """
    start, end = between
    within = (at, end - _INSTANT, start)
    found: Holder | None = None
    held: list[str | None] = []
    earliest: str | None = None
    for earliest in workspace.repository.file_sha256s(tuf_roles.REGISTRY):
        issued = _issued(workspace, earliest)
        if issued >= end:
            continue
        edition = _edition(workspace, earliest)
        held += (edition.member(number, moment) for moment in within)  # a porting may be within that time
        if issued <= at and found is None:
            found = Holder(edition.member(number, at), Basis.EDITION)
        if issued <= start:
            break
    if earliest is None:
        return Holder(_index(workspace.file_octets(tuf_roles.REGISTRY_FILE)).member(number, at), Basis.UNPUBLISHED)
    found = found or Holder(_edition(workspace, earliest).member(number, at), Basis.EARLIEST)
    others = tuple(dict.fromkeys(member for member in held if member not in (None, found.member)))
    if found.member is None and not others:
        return _later(workspace, number, at) or found
    return Holder(found.member, Basis.CHANGED, others) if others else found


def _later(workspace: Workspace, number: Number, at: datetime) -> Holder | None:
    """The holder by the newest edition. It is used if no edition up to `at` names one, because members may hold numbers
    long before these are entered.
    """
    newest, *others = workspace.repository.file_sha256s(tuf_roles.REGISTRY)
    member = _edition(workspace, newest).member(number, _issued(workspace, newest))
    if member is None:
        return None
    earlier = (each for each in others if _issued(workspace, each) <= at)
    if any(_edition(workspace, each).member(number, _issued(workspace, each)) for each in earlier):
        return None
    return Holder(member, Basis.LATER)


@lru_cache(maxsize=4096)
def _issued(workspace: Workspace, sha256: str) -> datetime:
    """The time at which an edition was issued. Only the head of the file is read, because there may be many editions,
    and each was checked before its publication.
    """
    text = workspace.repository.file_by_sha256(tuf_roles.REGISTRY, sha256).decode("utf-8-sig", "replace")
    return datetime.fromisoformat(read_value(text, ("registry", "issued")))


@lru_cache(maxsize=4)
def _edition(workspace: Workspace, sha256: str) -> RegistryIndex:
    return _index(workspace.repository.file_by_sha256(tuf_roles.REGISTRY, sha256))


def _index(octets: bytes) -> RegistryIndex:
    return RegistryIndex(parse_registry(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE))
