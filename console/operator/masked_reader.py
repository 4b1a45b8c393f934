"""The ledger as a visitor may see it: numbers are their kinds, or their last digits for who may open them."""

from __future__ import annotations

from idtone.core.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader

from ..access.rights import Right
from ..page import Visit


def reader_for(visit: Visit) -> LedgerReader:
    """Raises LedgerError if there is no ledger."""
    if visit.may(Right.OPEN_NUMBERS):
        try:
            return visit.console.opening_reader()
        except LedgerError:  # this console cannot read the keys; what it shows needs none
            return visit.console.reader()
    return visit.console.reader()
