"""Accepts members' documents: verifies the signature, applies the rule for the kind and stores the document."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import TrustError
from idtone.core.signed_notes import VerifierKey
from idtone.ledger.evidence.steps import Scalar
from idtone.registry.correspondence.signed_document import SignedDocument, verified_document
from idtone.registry.model import RegistryDocument
from idtone.registry.parsers import parse_registry
from idtone.registry.trust import tuf_roles

from ..authority.workspace import Workspace
from .document_store import DocumentStore
from .office_ledger import OfficeLedger
from .recorded_changes import RecordedChanges

AHEAD: Final = timedelta(minutes=5)
"""How far a member's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Result of a rule that accepts a document: its subject, the answer to the sender, and details for the ledger."""

    subject: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Scalar] = field(default_factory=dict)


Rule = Callable[["DocumentDesk", SignedDocument, datetime], Accepted]
"""Function that judges a document of one kind at a given time. To reject it, it raises TrustError with the answer."""


class DocumentDesk:
    """The desk in an authority's folder. Any thread may call `accept`."""

    def __init__(self, folder: Path, rules: Mapping[str, Rule]) -> None:
        """Open the desk and finish any change that an earlier process left unfinished.

        Raises TrustError or LedgerError if that is impossible.
        """
        self.folder = folder
        self.workspace = Workspace(folder)
        self.ledger = OfficeLedger(folder)
        self.documents = DocumentStore(folder)
        self._rules = rules
        self._registry: tuple[bytes, RegistryDocument] | None = None
        self._changes = RecordedChanges(self.documents.opened, self.ledger)
        if self.documents.exists:
            self._changes.finish()

    def accept(self, octets: bytes, now: datetime) -> Mapping[str, Any]:
        """Verify a document, store it, record it in the ledger and return the answer to the sender.

        A document accepted earlier gets the same answer again without a new record. Raises TrustError if the document
        is rejected, or LedgerError if the act cannot be recorded.
        """
        with self.ledger.locked():
            document = verified_document(octets, self.keys_of)
            known = self.documents.get(document.id)
            if known and known.octets == octets:
                return known.answer
            if known:
                raise TrustError("another document has this id already")
            if document.at > now + AHEAD:
                raise TrustError("the document is of a later time than now; set the clock")
            rule = self._rules.get(document.kind)
            if rule is None:
                raise TrustError("the desk does not know documents of the kind {kind!r}", kind=document.kind)
            accepted = rule(self, document, now)
            self._changes.make(
                self.documents.added(document, accepted.subject, now, accepted.answer),
                document.kind,
                accepted.subject,
                **accepted.details,
                member=document.member,
                document=document.id,
                sha256=hashlib.sha256(octets).hexdigest(),
            )
            return accepted.answer

    def registry(self) -> RegistryDocument:
        """Read the published registry, or the file in the folder before the first publication. Raises IdtoneError."""
        published = self.workspace.repository.file_octets(tuf_roles.REGISTRY)
        octets = self.workspace.file_octets(tuf_roles.REGISTRY_FILE) if published is None else published
        if self._registry is None or self._registry[0] != octets:
            self._registry = octets, parse_registry(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE)
        return self._registry[1]

    def keys_of(self, member: str) -> Sequence[VerifierKey]:
        """Public keys of a member's nodes, from the registry. Raises IdtoneError."""
        keys = (entry.keys for entry in self.registry().members if entry.id == member)
        return [VerifierKey.parse(key) for key in next(keys, ())]
