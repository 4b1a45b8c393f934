"""The PostgreSQL replica of the node's own ledger, for checks on the node."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.settings.settings import LedgerSettings

from ..keys.key_ring import own_key
from ..store.database import Database
from ..store.meta import HEARD_AT, LOG_KEY, facts
from ..store.postgresql import PostgreSQLConnection, Server, schema_of
from ..store.step_rows import moment
from .replica_batch import replica_position
from .replica_connection import lost_leaves

ASKED_WITHIN_S: Final = 10
"""Time in seconds that a check on this node waits for any answer from PostgreSQL."""


@dataclass(frozen=True, slots=True)
class OwnReplica:
    """The replica of the node's own ledger.

    `behind` is the number of steps that the replica still lacks. `lost_leaves` counts leaves that were in ledgers set
    aside and never arrived. `is_own` is False if another node replicates under this node's name. `is_private` is True
    if the connection is encrypted or local.
    """

    is_own: bool
    behind: int
    heard: datetime
    is_private: bool
    lost_leaves: int = 0


def own_replica(server: Server, settings: LedgerSettings, node: str) -> OwnReplica | None:
    """State of the node's own ledger replica; None if there is no replica.

    Raises LedgerError if PostgreSQL or the ledger cannot be read.
    """
    key = own_key(settings, node)
    schema = schema_of(key.name)
    if schema not in server.schemas(ASKED_WITHIN_S):
        return None
    # One after the other: reading the own ledger while waiting for PostgreSQL would delay the writer's commit.
    with server.database(schema, str(server), ASKED_WITHIN_S).reading() as there:
        assert isinstance(there, PostgreSQLConnection)
        held, arrived, unseen = facts(there), replica_position(there).steps, there.is_private()
        lost = lost_leaves(there, settings, node)
    with Database.in_file(settings.own_url()).reading() as here:
        behind = replica_position(here).steps - arrived
    return OwnReplica(held.get(LOG_KEY) == str(key), behind, moment(int(held.get(HEARD_AT, "0"))), unseen, lost)
