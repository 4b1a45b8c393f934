"""Reads node figures that the desk has stored, verifying their signatures again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from idtone.core.errors import TrustError
from idtone.core.signed_notes import VerifierKey
from idtone.member.evaluation.figures import NodeFigures, figures_of
from idtone.registry.correspondence.signed_document import verified_document

from ..desk.document_store import KeptDocument


def read_figures(documents: Iterable[KeptDocument], keys: Mapping[str, Sequence[VerifierKey]]) -> Iterator[NodeFigures]:
    """Read figures from stored documents, in the same order. `keys` are each member's keys in the registry.

    Figures signed with another key are left out because that node was replaced.
    """
    for kept in documents:
        try:
            yield figures_of(verified_document(kept.octets, lambda member: keys.get(member, ())))
        except TrustError:
            continue
