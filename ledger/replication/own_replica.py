"""What PostgreSQL has of this node's own ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.settings.settings import LedgerSettings

from ..keys.key_ring import own_key
from ..store.database import Database
from ..store.meta import HEARD_AT, LOG_KEY, facts
from ..store.postgresql import PostgreSQLConnection, Server, schema_of
from ..store.rows import moment
from .batch import position_of
from .replica_connection import lost_leaves

ASKED_WITHIN_S: Final = 10
"""How long an examination of this node waits for any answer of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class OwnReplica:
    """`behind` steps are not there yet. `lost_leaves` are of ledgers that were set aside, and never came there.

    `is_own` is false if another node replicates by this one's name; `is_private`: the connection
    cannot be read on its way.
    """

    is_own: bool
    behind: int
    heard: datetime
    is_private: bool
    lost_leaves: int = 0


def own_replica(server: Server, settings: LedgerSettings, node: str) -> OwnReplica | None:
    """The replica of this node's ledger; None if there is none. Raises LedgerError if PostgreSQL or the ledger cannot
    be read.
    """
    key = own_key(settings, node)
    schema = schema_of(key.name)
    if schema not in server.schemas(ASKED_WITHIN_S):
        return None
    # One after the other: reading the own ledger while PostgreSQL is waited for would hold up the writer's commit.
    with server.database(schema, str(server), ASKED_WITHIN_S).reading() as there:
        assert isinstance(there, PostgreSQLConnection)
        held, arrived, unseen = facts(there), position_of(there).steps, there.is_private()
        lost = lost_leaves(there, settings, node)
    with Database.in_file(settings.own()).reading() as here:
        behind = position_of(here).steps - arrived
    return OwnReplica(held.get(LOG_KEY) == str(key), behind, moment(int(held.get(HEARD_AT, "0"))), unseen, lost)
