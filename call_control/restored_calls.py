"""Calls in progress that another instance decided, restored from its ledger."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from idtone.ledger.store.ledger_reader import LedgerReader, OpenCalls

from .call import Call


@dataclass(frozen=True, slots=True)
class RestoredCalls:
    """Restored calls by call id. `calls` contains the calls of `read` that the journal can still name."""

    read: OpenCalls
    calls: Mapping[str, Call]

    @classmethod
    def of(cls, ledger: LedgerReader, earlier: Self | None = None) -> Self:
        """Restore the calls in progress. Calls without new steps are copied from an `earlier` result.

        New calls wait during a hand-over. The next instance therefore restores calls twice: before the hand-over, when
        a thousand calls take half a second, and after it, when only changed calls take time. Raises LedgerError.
        """
        read = ledger.open_calls(earlier.read if earlier else None)
        known = earlier.calls if earlier else {}
        before = earlier.read.records if earlier else {}
        return cls(
            read,
            {
                name: known[name] if record is before.get(name) else Call.restored(record, record.nonce)
                for name, record in read.records.items()
                if record.nonce is not None
            },
        )


def restored_calls(ledger: LedgerReader, call_ids: Iterable[str]) -> dict[str, Call]:
    """Restore the calls with the given ids. Raises LedgerError."""
    return {
        record.call_id: Call.restored(record, record.nonce)
        for record in ledger.records_of(call_ids)
        if record.nonce is not None
    }
