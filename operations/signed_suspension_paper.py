"""Creates the signed paper for the police about one of the node's suspensions."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from idtone.core.signed_notes import Note
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_acts import PAPER
from idtone.registry.suspensions.suspension_paper import note_text, suspension_paper

from .suspension_acts import SuspensionActs


@dataclass(frozen=True, slots=True)
class SignedPaper:
    """The paper about a suspension as a PDF, with the signed note.

    `idtone-evidence verify paper` expects the note in FILE.note, next to the PDF.
    """

    pdf: bytes
    note: bytes
    sha256: str


def signed_paper(desk: SuspensionActs, one: OwnSuspension, now: datetime) -> SignedPaper:
    """Create and sign the paper about a suspension, and record it in the ledger.

    Raises LedgerError.
    """
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that others do not need

    settings = desk.settings
    ring = KeyRing.of(settings.ledger, settings.node)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        kept = reader.acts(frozenset({StepKind.DUTY}))
        acts = [each for each in kept if each.details.get("subject") == one.id]
    pdf = as_pdf(suspension_paper(one, settings.node, settings.association.member, acts, str(ring.signer.key), now))
    digest = hashlib.sha256(pdf).hexdigest()
    desk.record(one, PAPER, {"sha256": digest})
    text = note_text(one, digest)
    return SignedPaper(pdf, str(Note(text, (ring.signer.sign(text),))).encode(), digest)
