"""Suspensions that members reported to the desk, having entered them after a direct call from the police."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from idtone.core.errors import TrustError
from idtone.registry.correspondence.own_suspension_report import KIND, OwnSuspensionReport
from idtone.registry.correspondence.signed_document import SignedDocument, verified_document

from .document_desk import AHEAD, Accepted, DocumentDesk


def accept_own_suspensions(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a member's report about its own suspensions."""
    content = OwnSuspensionReport.of(document.content)
    if content.in_force > min(document.at, now) + AHEAD:
        raise TrustError("the suspensions are in use from a later time than now; set the clock")
    return Accepted(content.id)


@dataclass(frozen=True, slots=True)
class MemberStop:
    """A node's latest report about one of its own suspensions."""

    member: str
    node: str
    received: datetime
    report: OwnSuspensionReport

    def as_plain(self) -> dict[str, object]:
        """JSON form of the suspension."""
        return {
            "by": "member",
            "member": self.member,
            "node": self.node,
            "received": self.received.isoformat(),
            **self.report.model_dump(mode="json"),
        }


def member_stops(desk: DocumentDesk, reference: str | None = None) -> Iterator[MemberStop]:
    """Find suspensions that members entered themselves, oldest first, optionally with one reference.

    Reports signed with a key that is no longer in the registry do not count.
    """
    newest: dict[tuple[str, str], MemberStop] = {}
    for kept in desk.documents.of(KIND):
        try:
            document = verified_document(kept.octets, desk.keys_of)
        except TrustError:
            continue
        report = OwnSuspensionReport.of(document.content)
        newest[document.key.name, report.id] = MemberStop(document.member, document.key.name, kept.received, report)
    return (each for each in newest.values() if reference in (None, each.report.reference))
