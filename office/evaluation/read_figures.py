"""Reads the desk's stored figures, and verifies them again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from idtone.core.errors import TrustError
from idtone.core.signed_notes import VerifierKey
from idtone.member.evaluation.figures import NodeFigures, figures_of
from idtone.registry.correspondence.signed_document import verified_document

from ..desk.document_store import KeptDocument


def read_figures(documents: Iterable[KeptDocument], keys: Mapping[str, Sequence[VerifierKey]]) -> Iterator[NodeFigures]:
    """The figures in each document, in the same order. `keys` are the keys of each member in the registry.

    Figures signed by another key are left out, because that node was replaced.
    """
    for kept in documents:
        try:
            yield figures_of(verified_document(kept.octets, lambda member: keys.get(member, ())))
        except TrustError:
            continue
