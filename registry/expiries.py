"""What of a registry ends, and when: the registry itself, licences, pledges, checks of resellers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from idtone.calls import Licence, LicenceStatus

from .compiled import licences, wholesale_chain
from .index import RegistryIndex
from .model import Member, RegistryDocument


class ExpiryKind(StrEnum):
    REGISTRY = "registry"
    LICENCE = "licence"
    PLEDGE = "pledge"
    CHAIN_CHECK = "chain-check"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something ends at a moment. `member` is whose it is; None for the registry. `subject` is a licence's id, or the
    link of a wholesale chain.
    """

    at: datetime
    kind: ExpiryKind
    member: str | None = None
    subject: str = ""


def expiries(document: RegistryDocument, index: RegistryIndex, chain_check: timedelta | None) -> list[Expiry]:
    """All, the soonest first. `chain_check` is how long a check of a reseller counts; None: for good.

    A revoked licence does not end any more, nor does one that a later licence for the same sound replaces.
    """
    found = [Expiry(index.expires, ExpiryKind.REGISTRY)]
    for member in document.members:
        found += _of_member(member)
    if chain_check is not None:
        found += _of_chains(document, chain_check)
    return sorted(found, key=lambda each: (each.at, each.kind, each.member or "", each.subject))


def _of_member(member: Member) -> Iterator[Expiry]:
    standing = [licence for licence in licences(member) if licence.status is not LicenceStatus.REVOKED]
    for licence in standing:
        if not any(_replaces(other, licence) for other in standing):
            yield Expiry(licence.valid_until, ExpiryKind.LICENCE, member.id, licence.id)
    if standing and standing[0].pledged_until:
        yield Expiry(standing[0].pledged_until, ExpiryKind.PLEDGE, member.id)


def _replaces(later: Licence, licence: Licence) -> bool:
    is_for_as_much = later.tone == licence.tone and later.directions >= licence.directions
    return is_for_as_much and later.valid_until > licence.valid_until


def _of_chains(document: RegistryDocument, lasts: timedelta) -> Iterator[Expiry]:
    """The check of each reseller by each wholesaler, once, however many ranges it is for: the oldest one."""
    oldest: dict[tuple[str, str], datetime] = {}
    for chain in document.chains:
        for link, at in zip(chain.links, wholesale_chain(chain).checked, strict=True):
            if at is not None:
                pair = link.reseller, link.wholesaler
                oldest[pair] = min(at, oldest.get(pair, at))
    for (reseller, wholesaler), at in oldest.items():
        yield Expiry(at + lasts, ExpiryKind.CHAIN_CHECK, reseller, f"{wholesaler} > {reseller}")
