"""The table `meta`, which contains named facts about a ledger, such as its schema version."""

from typing import Final

from .database import Connection

SCHEMA, CHECKPOINT = "schema_version", "checkpoint"
"""Keys found in every database. `checkpoint` is the tree's signed head."""
ORIGIN, LOG_KEY, NODE, NODE_STEPS, HEARD_AT, COSIGNED = (
    "origin",
    "log_key",
    "node",
    "node_steps",
    "heard_at",
    "cosigned",
)
"""Additional keys in a replica, for the log's origin, its verifier key, and the node's reports.

The reports contain the node's name, its number of steps, the time of the report (µs since 1970, from PostgreSQL's
clock), and the head that witnesses have cosigned.
"""

HOME: Final = "home"
"""Key in a node's own database, for the identity of the file in which it was created (`file_identity`)."""
STATE: Final = "state"
"""Key in a replica, for the service's report about itself.

The report is a JSON object with `heard` (as HEARD_AT), `writer` and `state`.
"""

SET_META: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def facts(connection: Connection) -> dict[str, str]:
    """All facts in the table `meta`, by key.

    A value that is not text is treated as missing, because idtone writes only text.
    """
    rows = connection.execute("SELECT key, value FROM meta").fetchall()
    return {key: value for key, value in rows if isinstance(key, str) and isinstance(value, str)}
