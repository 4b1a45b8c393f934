"""The ledger's databases, SQLite and PostgreSQL: schema, rows, the stored tree, and the reader."""
