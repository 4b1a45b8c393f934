"""Reads the calls for an evidence pack from the ledger."""

from collections.abc import Callable, Iterable

from idtone.core.errors import UsageError
from idtone.core.signed_notes import Note

from ..keys.timestamp_store import Stamp
from ..store.ledger_reader import LedgerReader
from .legal_basis import LegalBasis
from .pack import PackedCall, selection


def packed_calls(
    reader: LedgerReader,
    calls: Iterable[str],
    cosigned: Note | None,
    sealed: bool,
    stamp_of: Callable[[int], Stamp | None] = lambda leaf: None,
) -> list[PackedCall]:
    """Read the calls for an evidence pack, without duplicates.

    `stamp_of` returns the earliest timestamped head that covers a leaf. A call's proofs lead to that head, or to
    `cosigned` if there is none. Raises UsageError if a call is in no leaf.
    """
    found = []
    for call_id in dict.fromkeys(calls):
        proven = reader.proofs(call_id, cosigned)
        if not proven:
            raise UsageError(
                "no leaf of the ledger's tree holds call {call_id}: it is unknown or not over yet", call_id=call_id
            )
        if stamp := stamp_of(proven[-1].proof.index):
            proven = reader.proofs(call_id, stamp.note)
        found.append(PackedCall(call_id, proven, None if sealed else reader.record_key(call_id)))
    return found


def selection_digest(case: str, sealed: bool, chosen: Iterable[PackedCall], basis: LegalBasis | None) -> str:
    """Digest of the content that an evidence pack with these calls would have (`pack.selection`)."""
    return selection(case, sealed, {each.call_id: [one.content for one in each.proven] for each in chosen}, basis)
