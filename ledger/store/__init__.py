"""The ledger's SQLite and PostgreSQL databases, with their schema, rows, stored tree, and reader."""
