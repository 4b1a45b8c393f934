"""The table `meta`: facts of a ledger, by their keys."""

from typing import Final

from .database import Connection

SCHEMA, CHECKPOINT = "schema_version", "checkpoint"
"""In each database; `checkpoint` is the signed head of the tree."""
ORIGIN, LOG_KEY, NODE, NODE_STEPS, HEARD_AT, COSIGNED = (
    "origin",
    "log_key",
    "node",
    "node_steps",
    "heard_at",
    "cosigned",
)
"""In a replica too: the log's origin, its verifier key, and what the node has reported: its name, how many steps
it has, when (µs since 1970, by PostgreSQL's clock), and the head that witnesses have cosigned."""

HOME: Final = "home"
"""In a node's own database: the file in which it was made (`home`)."""
STATE: Final = "state"
"""In a replica: what the node's service says of itself, a JSON object: `heard` (as HEARD_AT), `writer`, `state`."""

SET_META: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def facts(connection: Connection) -> dict[str, str]:
    """The table `meta`. A value that is not text is not idtone's, and counts as missing."""
    rows = connection.execute("SELECT key, value FROM meta").fetchall()
    return {key: value for key, value in rows if isinstance(key, str) and isinstance(value, str)}
