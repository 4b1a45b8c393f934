"""The replica of each node's ledger in PostgreSQL, and reading the ledgers of all nodes together."""
