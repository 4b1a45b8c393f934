"""Determines from the registry's editions which member was responsible for a number at the time of a call.

This is the member that held the number or was last in its wholesale chain. The repository keeps every edition. An
edition applies from its `issued` time until the next edition is issued.
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
    """Sources that identify a number's holder."""

    EDITION = "edition"
    """The edition at the time of the call."""
    EARLIEST = "earliest"
    """The earliest edition, because the call predates it."""
    LATER = "later"
    """The newest edition, because no edition up to the time of the call names a holder."""
    UNPUBLISHED = "unpublished"
    """The unpublished `registry.yaml`, because no edition exists yet."""
    CHANGED = "changed"
    """The edition at the time of the call. Another member also held the number within the report's time span."""
    NO_NUMBER = "no-number"
    """The report names no number."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Holder of a number at the time of a call. `member` is None if no member held it.

    `others` also held the number within the time span of the report.
    """

    member: str | None
    basis: Basis
    others: tuple[str, ...] = ()

    @property
    def members(self) -> Sequence[str]:
        """All members that held the number, in the order that the office asks them."""
        return (self.member, *self.others) if self.member else self.others


def holder_of(workspace: Workspace, number: Number, at: datetime, between: tuple[datetime, datetime]) -> Holder:
    """Find the member that held the number at time `at`, and any others that held it within `between`.

    `between` excludes its end. Raises IdtoneError if an edition cannot be read.
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
    """Holder according to the newest edition.

    Used if no edition up to `at` names a holder, because members may hold numbers long before the numbers are entered.
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
    """Time when an edition was issued.

    Only the beginning of the file is read, because there may be many editions and each was checked before it was
    published.
    """
    text = workspace.repository.file_by_sha256(tuf_roles.REGISTRY, sha256).decode("utf-8-sig", "replace")
    return datetime.fromisoformat(read_value(text, ("registry", "issued")))


@lru_cache(maxsize=4)
def _edition(workspace: Workspace, sha256: str) -> RegistryIndex:
    return _index(workspace.repository.file_by_sha256(tuf_roles.REGISTRY, sha256))


def _index(octets: bytes) -> RegistryIndex:
    return RegistryIndex(parse_registry(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE))
