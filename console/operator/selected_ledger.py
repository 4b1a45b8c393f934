"""The ledger that a page shows: either this node's own or a replica of another node's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.ledger.keys.key_ring import cosigned_note, own_key
from idtone.ledger.replication.node_ledgers import NodeLedger, replica_of
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server

from ..access.rights import Right
from ..other_nodes import is_other_node
from .masked_reader import reader_of

if TYPE_CHECKING:
    from ..page import Visit


@dataclass(frozen=True, slots=True)
class SelectedLedger:
    """The ledger to show. `replica` is None for this node's own ledger.

    Numbers in another node's calls stay sealed, because this node lacks its keys.
    """

    settings: Settings
    reader: LedgerReader
    replica: NodeLedger | None = None

    @property
    def node(self) -> str:
        """Name of the other node, or an empty string for this node."""
        return self.replica.node if self.replica else ""

    @contextmanager
    def held(self) -> Iterator[SelectedLedger]:
        """Share one connection among several short reads in one thread for the duration of the context.

        Raises LedgerError.
        """
        with self.reader.on_one_connection() as reader:
            yield replace(self, reader=reader)

    def log(self) -> VerifierKey:
        """The log's verifier key, read from PostgreSQL for another node's log. Raises LedgerError."""
        if self.replica and self.replica.key:
            return self.replica.key
        return own_key(self.settings.ledger, self.settings.node, self.reader.origin())

    def cosigned(self) -> Note | None:
        """The latest checkpoint that witnesses have cosigned, or None. Raises LedgerError."""
        if self.replica:
            return self.replica.cosigned
        return cosigned_note(self.settings.ledger, self.settings.node, self.reader.origin())


def ledger_for(visit: Visit) -> SelectedLedger:
    """The ledger of the node in the address. Raises LedgerError, or UsageError if the node does not exist."""
    return ledger_of(visit.console.settings, visit.query("node"), opens=visit.may(Right.OPEN_NUMBERS))


def ledger_of(settings: Settings, node: str, *, opens: bool) -> SelectedLedger:
    """A node's ledger. `opens` is True if the visitor may open numbers.

    Raises LedgerError, or UsageError if the node does not exist.
    """
    if not is_other_node(settings, node):
        return SelectedLedger(settings, reader_of(settings, opens=opens))
    replica = replica_of(Server.all_of(settings.ledger), node)
    return SelectedLedger(settings, replica.reader, replica)
