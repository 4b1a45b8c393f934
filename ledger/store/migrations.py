"""SQL scripts that create and upgrade the ledger's tables.

A ledger with schema version n has run the first n scripts. Scripts work in both SQLite and PostgreSQL, and words in
braces are types whose names differ. Never change a released script.
"""

from collections.abc import Mapping, Sequence
from typing import Final

SQLITE: Final = {"whole": "INTEGER", "name": "TEXT", "octets": "BLOB", "keyed": " WITHOUT ROWID"}
"""SQLite's types. All of its integers have 64 bits, but only an INTEGER key is the row's own number."""
POSTGRESQL: Final = {"whole": "BIGINT", "name": 'TEXT COLLATE "C"', "octets": "BYTEA", "keyed": ""}
"""PostgreSQL's types.

With COLLATE "C", names are compared octet by octet, as in SQLite, whatever the database's language is.
"""

_FIRST: Final = (
    "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    # One row for each step, in the order of writing. `at` is in µs since 1970 UTC, `details` a JSON object in the form
    # of RFC 8785, in which numbers are sealed. `leaf` is the index, from 0, of the leaf that the step closed.
    "CREATE TABLE steps (id {whole} NOT NULL PRIMARY KEY, node TEXT NOT NULL, call_id {name} NOT NULL, "
    "kind TEXT NOT NULL, at BIGINT NOT NULL, details TEXT NOT NULL, leaf {whole})",
    "CREATE INDEX ix_steps_at ON steps (at)",
    "CREATE INDEX ix_steps_call_id ON steps (call_id)",
    # The hashes of the tree's complete subtrees (`tree.merkle`).
    "CREATE TABLE hashes (place {whole} NOT NULL PRIMARY KEY, hash {octets} NOT NULL)",
    # For searches of calls that are over: a token (`leaves.search_keys`), and the step that closed the call's leaf.
    "CREATE TABLE sought (token BIGINT NOT NULL, step {whole} NOT NULL, PRIMARY KEY (token, step)){keyed}",
    # The calls whose end is not recorded (`calls_in_progress`).
    "CREATE TABLE in_progress (call_id {name} NOT NULL PRIMARY KEY){keyed}",
)
_MACS: Final = (
    # The MACs of the steps that one transaction has written, 16 bytes each; `last` is the last of these steps
    # (docs/adr/0025).
    "CREATE TABLE macs (last {whole} NOT NULL PRIMARY KEY, macs {octets} NOT NULL)",
    # Rows of `steps` that the service did not write, or that were changed; `found` is when it set them aside.
    "CREATE TABLE quarantine (number {whole} NOT NULL PRIMARY KEY, found BIGINT NOT NULL, id {whole}, node TEXT, "
    "call_id {name}, kind TEXT, at BIGINT, details TEXT, leaf {whole})",
)
TABLES: Final = frozenset({"meta", "steps", "hashes", "sought", "in_progress", "macs", "quarantine"})
MIGRATIONS: tuple[Sequence[str], ...] = (_FIRST, _MACS)


def scripts(after: int, types: Mapping[str, str]) -> list[str]:
    """SQL statements that upgrade a ledger from schema version `after` to the latest.

    `after` is 0 for an empty database.
    """
    return [statement.format_map(types) for script in MIGRATIONS[after:] for statement in script]
