"""The ledger's databases in SQLite and PostgreSQL: schema, rows, the stored tree, and the reader."""
