"""The replica of each node's ledger in PostgreSQL, and readers for the ledgers of all nodes together."""
