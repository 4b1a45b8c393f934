"""Computes how long a member's nodes took to apply suspensions, from their confirmations to the desk."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from functools import cache

from idtone.core.errors import TrustError
from idtone.core.signed_notes import VerifierKey
from idtone.member.evaluation.period import Period
from idtone.registry.correspondence.signed_document import verified_document
from idtone.registry.correspondence.suspension_confirmation import SuspensionConfirmation

from ..authority.signed_repository import SignedRepository
from ..desk.document_store import KeptDocument
from ..desk.suspension_confirmations import published_stops

Editions = Callable[[str], Mapping[str, datetime]]
"""Function that maps the SHA-256 of a published `suspensions.yaml` to the start of each suspension, by reference.

If several suspensions have the same reference, the latest start counts.
"""


def published_editions(repository: SignedRepository) -> Editions:
    @cache
    def edition(sha256: str) -> Mapping[str, datetime]:
        stops = published_stops(repository, sha256) or []
        return {each.reference: each.since for each in sorted(stops, key=lambda each: each.since)}

    return edition


def confirmed_stops(
    documents: Iterable[KeptDocument], keys: Mapping[str, Sequence[VerifierKey]], editions: Editions, period: Period
) -> dict[str, Fraction]:
    """Hours from each suspension's start until the last confirming node applied it, by reference.

    Only suspensions that start in the period are included.

    Documents signed with a key that is no longer in the registry are ignored.
    """
    first: dict[tuple[str, datetime, VerifierKey], datetime] = {}
    for kept in documents:
        try:
            document = verified_document(kept.octets, lambda member: keys.get(member, ()))
        except TrustError:
            continue
        content = SuspensionConfirmation.of(document.content)
        begun = editions(content.sha256)
        for stop in content.stops:
            since = begun.get(stop.reference)
            if since is not None and period.begins <= since < period.ends:
                place = (stop.reference, since, document.key)
                first[place] = min(content.in_use, first.get(place, content.in_use))
    hours: dict[str, Fraction] = {}
    for (reference, since, _), in_use in first.items():
        took = max(Fraction(0), Fraction((in_use - since).total_seconds()) / 3600)
        hours[reference] = max(took, hours.get(reference, took))
    return hours
