"""Nodes' confirmations of published suspensions: the desk rule that accepts them, and which nodes have confirmed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from idtone.core.errors import TrustError
from idtone.core.signed_notes import VerifierKey
from idtone.registry.correspondence.signed_document import SignedDocument, verified_document
from idtone.registry.correspondence.suspension_confirmation import KIND, SuspensionConfirmation
from idtone.registry.model import Member, SuspensionEntry
from idtone.registry.parsers import parse_suspensions
from idtone.registry.suspended_numbers import stops
from idtone.registry.trust import tuf_roles

from ..authority.signed_repository import SignedRepository
from .document_desk import AHEAD, Accepted, DocumentDesk

_FILE: Final = tuf_roles.SUSPENSIONS_FILE


def accept_confirmation(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a confirmation of suspensions or their ends.

    The confirmation must concern suspensions in a published edition, or ends of suspensions in earlier editions. Raises
    TrustError.
    """
    content = SuspensionConfirmation.of(document.content)
    edition = published_stops(desk.workspace.repository, content.sha256)
    if edition is None:
        raise TrustError("no suspensions.yaml with the SHA-256 {sha256} was published", sha256=content.sha256)
    if content.in_use > min(document.at, now) + AHEAD:
        raise TrustError("the suspensions are in use from a later time than now; set the clock")
    known = {entry.reference for entry in edition}
    for stop in content.stops:
        if stop.reference not in known:
            raise TrustError("that suspensions.yaml has no reference {reference!r}", reference=stop.reference)
    for reference in content.lifts:
        if _of_earlier(desk.workspace.repository, reference) is None:
            raise TrustError("no published suspension had the reference {reference!r}", reference=reference)
    return Accepted(content.sha256)


def published_stops(repository: SignedRepository, sha256: str) -> list[SuspensionEntry] | None:
    """Suspensions in a published edition; None if no edition has this SHA-256."""
    if sha256 not in repository.file_sha256s(tuf_roles.SUSPENSIONS):
        return None
    text = repository.file_by_sha256(tuf_roles.SUSPENSIONS, sha256).decode("utf-8-sig")
    return list(stops(parse_suspensions(text, _FILE).suspensions))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A node's confirmation of all suspensions with one reference.

    `in_use` is None if the node has not confirmed them. `node` is the name of the node's key, or None if the member has
    named no key. `is_lifted` is True if the suspensions were published and have ended. `lifted` is when the node
    applied the end, if known.
    """

    reference: str
    member: str
    node: str | None
    in_use: datetime | None = None
    received: datetime | None = None
    calls_ended: int = 0
    is_lifted: bool = False
    lifted: datetime | None = None

    @property
    def is_missing(self) -> bool:
        """True if the node still has to confirm a suspension, or the end of one that it confirmed."""
        return self.lifted is None and self.in_use is not None if self.is_lifted else self.in_use is None


def confirmations(
    desk: DocumentDesk, reference: str | None = None, ended_since: datetime | None = None
) -> Iterator[Confirmation]:
    """Confirmations of each published suspension, for each node of each member with numbers or node keys.

    Lifted suspensions follow if a node still has to confirm the end or has confirmed it since `ended_since`. With a
    `reference`, only this suspension is listed. Raises TrustError if nothing was published or the reference is unknown.
    """
    repository = desk.workspace.repository
    sha256 = repository.file_sha256(tuf_roles.SUSPENSIONS)
    entries = published_stops(repository, sha256) if sha256 else None
    if entries is None:
        raise TrustError("{folder}: nothing is published yet", folder=desk.folder)
    wanted: dict[str, list[SuspensionEntry]] = {}
    for entry in entries:
        if reference in (None, entry.reference):
            wanted.setdefault(entry.reference, []).append(entry)
    earlier = None if reference is None or wanted else _of_earlier(repository, reference)
    if reference is not None and not wanted and not earlier:
        raise TrustError(
            "no published suspension has the reference {reference!r}, or had it before", reference=reference
        )
    documents = _Documents.of(_documents(desk))
    for each, of_reference in wanted.items():
        for member in desk.registry().members:
            if member.numbers or member.keys:
                yield from _of_member(each, of_reference, member, documents)
    gone = {reference: earlier} if reference and earlier else {}
    if reference is None:
        gone = _confirmed_before(wanted, documents)
    for rows in _lifted(desk, gone, documents):
        is_late = ended_since is not None and any(each.lifted and each.lifted >= ended_since for each in rows)
        if reference is not None or is_late or any(each.is_missing for each in rows):
            yield from rows


def _of_earlier(repository: SignedRepository, reference: str) -> list[SuspensionEntry] | None:
    for sha256 in repository.file_sha256s(tuf_roles.SUSPENSIONS):
        text = repository.file_by_sha256(tuf_roles.SUSPENSIONS, sha256).decode("utf-8-sig")
        if reference in text:
            found = [each for each in stops(parse_suspensions(text, _FILE).suspensions) if each.reference == reference]
            if found:
                return found
    return None


def _confirmed_before(published: Collection[str], documents: _Documents) -> dict[str, list[SuspensionEntry]]:
    return {reference: stops for reference, stops in documents.last_known.items() if reference not in published}


def _lifted(
    desk: DocumentDesk, of: Mapping[str, list[SuspensionEntry]], documents: _Documents
) -> Iterator[list[Confirmation]]:
    for reference, entries in of.items():
        yield [
            replace(row, is_lifted=True, lifted=_end(row, documents.ends))
            for member in desk.registry().members
            if member.numbers or member.keys
            for row in _of_member(reference, entries, member, documents)
        ]


def _end(row: Confirmation, ends: Mapping[tuple[str, str], datetime]) -> datetime | None:
    """Time when the node applied the end of this stop; None if unknown.

    The end of an earlier stop with the same reference does not count.
    """
    end = ends.get((row.node or "", row.reference))
    return end if end and (row.in_use is None or end >= row.in_use) else None


def is_published(desk: DocumentDesk, reference: str) -> bool:
    """True if a suspension with this reference is published or was published before it was lifted."""
    return _of_earlier(desk.workspace.repository, reference) is not None


@dataclass(frozen=True, slots=True)
class _Document:
    node: str
    received: datetime
    content: SuspensionConfirmation
    edition: list[SuspensionEntry]


@dataclass(frozen=True, slots=True)
class _Documents:
    stops: dict[tuple[str, str], list[_Document]] = field(default_factory=dict)
    ends: dict[tuple[str, str], datetime] = field(default_factory=dict)
    last_known: dict[str, list[SuspensionEntry]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[_Document]) -> _Documents:
        """Read the reports in these documents, which must be in order of receipt."""
        found = cls()
        for each in documents:
            in_edition: dict[str, list[SuspensionEntry]] = {}
            for entry in each.edition:
                in_edition.setdefault(entry.reference, []).append(entry)
            for stop in each.content.stops:
                found.stops.setdefault((each.node, stop.reference), []).append(each)
                found.last_known[stop.reference] = in_edition.get(stop.reference, [])
            for reference in each.content.lifts:
                if reference not in in_edition:
                    found.ends[each.node, reference] = each.content.in_use
        return found


def _of_member(
    reference: str, entries: list[SuspensionEntry], member: Member, documents: _Documents
) -> Iterator[Confirmation]:
    if not member.keys:
        yield Confirmation(reference, member.id, None)
    for node in dict.fromkeys(VerifierKey.parse(key).name for key in member.keys):
        about = documents.stops.get((node, reference), [])
        needed = [next((each for each in about if entry in each.edition), None) for entry in entries]
        found = [each for each in needed if each is not None]
        if len(found) < len(entries):
            yield Confirmation(reference, member.id, node)
            continue
        yield Confirmation(
            reference,
            member.id,
            node,
            max(each.content.in_use for each in found),
            max(each.received for each in found),
            sum(stop.calls_ended for each in about for stop in each.content.stops if stop.reference == reference),
        )


def _documents(desk: DocumentDesk) -> Iterator[_Document]:
    editions: dict[str, list[SuspensionEntry] | None] = {}
    for kept in desk.documents.of(KIND):
        try:
            document = verified_document(kept.octets, desk.keys_of)
        except TrustError:
            continue
        content = SuspensionConfirmation.of(document.content)
        if content.sha256 not in editions:
            editions[content.sha256] = published_stops(desk.workspace.repository, content.sha256)
        edition = editions[content.sha256]
        if edition is not None:
            yield _Document(document.key.name, kept.received, content, edition)


def as_plain(each: Confirmation) -> Mapping[str, object]:
    """JSON form of a confirmation."""
    return {
        "reference": each.reference,
        "member": each.member,
        "node": each.node,
        "in_use": each.in_use.isoformat() if each.in_use else None,
        "received": each.received.isoformat() if each.received else None,
        "calls_ended": each.calls_ended,
        "is_lifted": each.is_lifted,
        "lifted": each.lifted.isoformat() if each.lifted else None,
    }
