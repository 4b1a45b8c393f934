"""The ledger whose calls a visitor looks at: this node's own, or the replica of another node's."""

from __future__ import annotations

from dataclasses import dataclass

from idtone.errors import UsageError
from idtone.ledger.keys.key_ring import cosigned_note, own_key
from idtone.ledger.replication.node_ledgers import NodeLedger, ledger_in
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.settings import Settings
from idtone.signed_notes import Note, VerifierKey
from idtone.translation import Message

from ..page import Visit
from .masked_reader import reader_for


@dataclass(frozen=True, slots=True)
class ShownLedger:
    """`replica` is None for this node's own ledger. The numbers of another node's calls stay sealed: its keys are not
    here.
    """

    settings: Settings
    reader: LedgerReader
    replica: NodeLedger | None = None

    @property
    def node(self) -> str:
        """The other node; empty for this one."""
        return self.replica.node if self.replica else ""

    def log(self) -> VerifierKey:
        """The key of the log; of another node, as PostgreSQL names it. Raises LedgerError."""
        if self.replica and self.replica.key:
            return self.replica.key
        return own_key(self.settings.ledger, self.settings.node, self.reader.origin())

    def cosigned(self) -> Note | None:
        """The last checkpoint that witnesses have cosigned. Raises LedgerError."""
        if self.replica:
            return self.replica.cosigned
        return cosigned_note(self.settings.ledger, self.settings.node, self.reader.origin())


def ledger_for(visit: Visit) -> ShownLedger:
    """The ledger of the node in the address. Raises UsageError if there is no such node, LedgerError."""
    settings, node = visit.console.settings, visit.query("node")
    if not is_other(settings, node):
        return ShownLedger(settings, reader_for(visit))
    server = Server.of(settings.ledger)
    with NodeReportsReader(server) as reader:
        origins = [each.origin for each in reader.read().reports if each.node == node and each.heard]
    for origin in origins:
        replica = ledger_in(server, schema_of(origin), node)
        if replica is not None:
            return ShownLedger(settings, replica.reader, replica)
    raise UsageError(Message("{server}: there is no ledger of a node {node} yet", server=server, node=node))


def is_other(settings: Settings, node: str) -> bool:
    """Whether this names another node of those that share a PostgreSQL."""
    return bool(node) and node != settings.node and settings.ledger.is_shared()
