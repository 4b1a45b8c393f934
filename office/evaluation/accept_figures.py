"""Desk rule for documents with a node's figures for member evaluation."""

from datetime import datetime
from typing import Final

from idtone.core.errors import TrustError
from idtone.member.evaluation.criteria import read_criteria
from idtone.member.evaluation.figures import KIND, figures_objection, figures_of
from idtone.registry.correspondence.signed_document import SignedDocument

from ..desk.document_desk import Accepted, DocumentDesk
from .read_figures import read_figures

CRITERIA_FILE: Final = "evaluation.yaml"
"""File in the authority's folder with the evaluation criteria."""


def accept_figures(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a node's figures for a period.

    A witness named in the criteria must have cosigned the figures' tree head after the period ended. The figures must
    not contradict each other or the node's earlier figures. The period must not overlap another one; figures for the
    same period replace earlier ones. Raises TrustError, or DocumentError if the criteria have a fault.
    """
    new = figures_of(document)
    path = desk.folder / CRITERIA_FILE
    if not path.exists():
        raise TrustError("the association does not take figures now: it has no criteria")
    criteria = read_criteria(path)
    kept = read_figures(desk.documents.of(KIND, member=document.member), {document.member: [document.key]})
    earlier = list(kept)
    terms = criteria.terms
    fault = figures_objection(new, criteria.witnesses, terms.witnesses_needed, earlier, now)
    if fault:
        raise TrustError(fault)
    replaced = [each.document for each in earlier if each.span == new.span]
    return Accepted(str(new.span), {"period": str(new.span), "calls": new.figures.calls, "replaces": replaced})
