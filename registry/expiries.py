"""End dates of a registry and of its licences, pledges, reseller checks and certifications."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.calls import Licence, LicenceStatus

from .compiled_registry import licences, wholesale_chain
from .index import RegistryIndex
from .model import Certification, Member, RegistryDocument, day_begins


class ExpiryKind(StrEnum):
    REGISTRY = "registry"
    LICENCE = "licence"
    PLEDGE = "pledge"
    CHAIN_CHECK = "chain-check"
    CERTIFICATION = "certification"
    """The certification (認定) itself."""
    MARK = "mark"
    """ETOC's mark."""
    CERTIFICATION_CHECK = "certification-check"
    """The next check of the certification and the mark."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """End date of the registry or of something in it.

    `member` is the member concerned, or None for the registry. `subject` is a licence id or a wholesale chain link.
    """

    at: datetime
    kind: ExpiryKind
    member: str | None = None
    subject: str = ""


def expiries(document: RegistryDocument, index: RegistryIndex, chain_check: timedelta | None) -> list[Expiry]:
    """All end dates in a registry, soonest first.

    A reseller check is valid for `chain_check`, or forever if `chain_check` is None. Omits revoked licences and
    licences replaced by a later one for the same sound.
    """
    found = [Expiry(index.expires, ExpiryKind.REGISTRY)]
    for member in document.members:
        found += _of_member(member)
    if chain_check is not None:
        found += _of_chains(document, chain_check)
    found += certification_ends(document)
    return sorted(found, key=lambda each: (each.at, each.kind, each.member or "", each.subject))


def _of_member(member: Member) -> Iterator[Expiry]:
    standing = [licence for licence in licences(member) if licence.status is not LicenceStatus.REVOKED]
    for licence in standing:
        if not any(_replaces(other, licence) for other in standing):
            yield Expiry(licence.valid_until, ExpiryKind.LICENCE, member.id, licence.id)
    if standing and standing[0].pledged_until:
        yield Expiry(standing[0].pledged_until, ExpiryKind.PLEDGE, member.id)


_ENDS: Final = {
    "until": ExpiryKind.CERTIFICATION,
    "mark_until": ExpiryKind.MARK,
    "next_check": ExpiryKind.CERTIFICATION_CHECK,
}
"""Certification field with an end date → what ends on that date."""
CERTIFICATION_SOON: Final = timedelta(days=30)
"""Remaining time at which a certification must be renewed or rechecked."""

SIGNED_SOON: Final = timedelta(days=2)
"""Remaining validity that indicates a fault. The association renews its signatures at least every five days, so they
were not renewed or not fetched.
"""


def certification_ends(document: RegistryDocument, member: str | None = None) -> Iterator[Expiry]:
    """End dates of the certifications of members and links.

    With `member`, includes only certifications that this member's numbers depend on.
    """
    chains = [
        chain
        for chain in document.chains
        if member is None or member in (chain.links[0].wholesaler, *(link.reseller for link in chain.links))
    ]
    concerned = {name for chain in chains for link in chain.links for name in (link.wholesaler, link.reseller)}
    for entry in document.members:
        if member is None or entry.id == member or entry.id in concerned:
            yield from _of_certification(entry.certification, entry.id, "")
    seen = set[Expiry]()
    for chain in chains:
        for link in chain.links:
            subject = f"{link.wholesaler} > {link.reseller}"
            for end in _of_certification(link.certification, link.reseller, subject):
                if end not in seen:  # once, however many ranges it is for
                    seen.add(end)
                    yield end


def _of_certification(certification: Certification | None, member: str, subject: str) -> Iterator[Expiry]:
    for name, day in certification.ends if certification else ():
        yield Expiry(day_begins(day), _ENDS[name], member, subject)


def _replaces(later: Licence, licence: Licence) -> bool:
    is_for_as_much = later.tone == licence.tone and later.directions >= licence.directions
    return is_for_as_much and later.valid_until > licence.valid_until


def _of_chains(document: RegistryDocument, lasts: timedelta) -> Iterator[Expiry]:
    """End of each wholesaler's oldest check of each reseller, once for all ranges between the two."""
    oldest: dict[tuple[str, str], datetime] = {}
    for chain in document.chains:
        for link, at in zip(chain.links, wholesale_chain(chain).checked, strict=True):
            if at is not None:
                pair = link.reseller, link.wholesaler
                oldest[pair] = min(at, oldest.get(pair, at))
    for (reseller, wholesaler), at in oldest.items():
        yield Expiry(at + lasts, ExpiryKind.CHAIN_CHECK, reseller, f"{wholesaler} > {reseller}")
