"""Confirmations of suspensions: the rule of the desk, and who has confirmed what is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.correspondence.signed_document import SignedDocument, verified
from idtone.correspondence.suspension_confirmation import KIND, SuspensionConfirmation
from idtone.errors import TrustError
from idtone.registry.model import Member, SuspensionEntry
from idtone.registry.parsers import parse_suspensions
from idtone.registry.suspended_numbers import stops
from idtone.registry.trust import tuf_roles
from idtone.signed_notes import VerifierKey
from idtone.translation import Message

from ..repository import SignedRepository
from .desk import AHEAD, Accepted, Desk

_FILE: Final = tuf_roles.SUSPENSIONS_FILE


def confirmed(desk: Desk, document: SignedDocument, now: datetime) -> Accepted:
    """The rule for confirmations. They are about an edition that was published, and about stops in it."""
    content = SuspensionConfirmation.of(document.content)
    edition = published_stops(desk.workspace.repository, content.sha256)
    if edition is None:
        raise TrustError(Message("no suspensions.yaml with the SHA-256 {sha256} was published", sha256=content.sha256))
    if content.in_use > min(document.at, now) + AHEAD:
        raise TrustError(Message("the suspensions are in use from a later time than now; set the clock"))
    known = {entry.reference for entry in edition}
    for stop in content.stops:
        if stop.reference not in known:
            raise TrustError(Message("that suspensions.yaml has no reference {reference!r}", reference=stop.reference))
    return Accepted(content.sha256)


def published_stops(repository: SignedRepository, sha256: str) -> list[SuspensionEntry] | None:
    """The stops of a published edition."""
    if sha256 not in repository.digests(tuf_roles.SUSPENSIONS):
        return None
    text = repository.edition(tuf_roles.SUSPENSIONS, sha256).decode("utf-8-sig")
    return list(stops(parse_suspensions(text, _FILE).suspensions))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether a node has confirmed all stops of a reference: `in_use` is None if it has not.

    `node` is the name of its key; None for a member that has named no key.
    """

    reference: str
    member: str
    node: str | None
    in_use: datetime | None = None
    received: datetime | None = None
    calls_ended: int = 0


def confirmations(desk: Desk, reference: str | None = None) -> Iterator[Confirmation]:
    """For each reference of a published stop, or for one, and for each node of each member that holds numbers.

    Raises TrustError if nothing was published, or not this reference.
    """
    repository = desk.workspace.repository
    sha256 = repository.sha256(tuf_roles.SUSPENSIONS)
    entries = published_stops(repository, sha256) if sha256 else None
    if entries is None:
        raise TrustError(Message("{folder}: nothing is published yet", folder=desk.folder))
    wanted: dict[str, list[SuspensionEntry]] = {}
    for entry in entries:
        if reference in (None, entry.reference):
            wanted.setdefault(entry.reference, []).append(entry)
    if reference is not None and not wanted:
        raise TrustError(
            Message(
                "no published suspension has the reference {reference!r}; look at suspensions.yaml", reference=reference
            )
        )
    documents = list(_documents(desk))
    for each, of_reference in wanted.items():
        for member in desk.registry().members:
            if member.numbers or member.keys:
                yield from _of_member(each, of_reference, member, documents)


def is_published(desk: Desk, reference: str) -> bool:
    """Whether a published stop has the reference."""
    sha256 = desk.workspace.repository.sha256(tuf_roles.SUSPENSIONS)
    entries = published_stops(desk.workspace.repository, sha256) if sha256 else None
    return any(entry.reference == reference for entry in entries or ())


@dataclass(frozen=True, slots=True)
class _Document:
    node: str
    received: datetime
    content: SuspensionConfirmation
    edition: list[SuspensionEntry]


def _of_member(
    reference: str, entries: list[SuspensionEntry], member: Member, documents: list[_Document]
) -> Iterator[Confirmation]:
    if not member.keys:
        yield Confirmation(reference, member.id, None)
    for node in dict.fromkeys(VerifierKey.parse(key).name for key in member.keys):
        about = [
            each
            for each in documents
            if each.node == node and any(stop.reference == reference for stop in each.content.stops)
        ]
        needed = [next((each for each in about if entry in each.edition), None) for entry in entries]
        found = [each for each in needed if each is not None]
        if len(found) < len(entries):
            yield Confirmation(reference, member.id, node)
            continue
        yield Confirmation(
            reference, member.id, node,
            max(each.content.in_use for each in found), max(each.received for each in found),
            sum(stop.calls_ended for each in about for stop in each.content.stops if stop.reference == reference),
        )  # fmt: skip


def _documents(desk: Desk) -> Iterator[_Document]:
    """What the desk has accepted, in the order of receipt, if its key is still in the registry."""
    editions: dict[str, list[SuspensionEntry] | None] = {}
    for kept in desk.documents.of(KIND):
        try:
            document = verified(kept.octets, desk.keys_of)
        except TrustError:
            continue
        content = SuspensionConfirmation.of(document.content)
        if content.sha256 not in editions:
            editions[content.sha256] = published_stops(desk.workspace.repository, content.sha256)
        edition = editions[content.sha256]
        if edition is not None:
            yield _Document(document.key.name, kept.received, content, edition)


def as_plain(each: Confirmation) -> Mapping[str, object]:
    """For JSON."""
    return {
        "reference": each.reference,
        "member": each.member,
        "node": each.node,
        "in_use": each.in_use.isoformat() if each.in_use else None,
        "received": each.received.isoformat() if each.received else None,
        "calls_ended": each.calls_ended,
    }
