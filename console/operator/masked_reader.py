"""The ledger for a visitor: numbers are replaced by their kinds, or by their last digits for a visitor who may open
them.
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
    """The ledger for this visitor, with numbers only if the visitor may open them. Raises LedgerError if there is no
    ledger.
    """
    return reader_of(visit.console.settings, opens=visit.may(Right.OPEN_NUMBERS))


def reader_of(settings: Settings, *, opens: bool) -> LedgerReader:
    """The ledger; `opens`: the visitor may open numbers. Raises LedgerError if there is no ledger."""
    if opens:
        try:
            return opening_reader(settings)
        except LedgerError:  # this console cannot read the keys; its pages need none
            pass
    return LedgerReader.open(settings.ledger.own())


def opening_reader(settings: Settings) -> LedgerReader:
    """A reader of the ledger with the keys of the numbers. Raises LedgerError if they cannot be read."""
    return LedgerReader.open(settings.ledger.own(), day_keys_beside(settings.ledger.key_file))
