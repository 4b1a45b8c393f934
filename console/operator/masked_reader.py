"""The ledger as a visitor may see it.

Numbers are replaced with their kinds, except that visitors who may open numbers see the last digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import Settings
from idtone.ledger.replication.node_ledgers import day_keys_beside
from idtone.ledger.store.ledger_reader import LedgerReader

from ..access.rights import Right

if TYPE_CHECKING:
    from ..page import Visit


def reader_for(visit: Visit) -> LedgerReader:
    """A ledger reader for this visitor. Only visitors who may open numbers see their last digits.

    Raises LedgerError if there is no ledger.
    """
    return reader_of(visit.console.settings, opens=visit.may(Right.OPEN_NUMBERS))


def reader_of(settings: Settings, *, opens: bool) -> LedgerReader:
    """A ledger reader. `opens` is True if the visitor may open numbers. Raises LedgerError if there is no ledger."""
    if opens:
        try:
            return opening_reader(settings)
        except LedgerError:  # this console cannot read the keys, and its pages do not need them
            pass
    return LedgerReader.open(settings.ledger.own_url())


def opening_reader(settings: Settings) -> LedgerReader:
    """A ledger reader with the keys for numbers. Raises LedgerError if the keys cannot be read."""
    return LedgerReader.open(settings.ledger.own_url(), day_keys_beside(settings.ledger.key_file))
