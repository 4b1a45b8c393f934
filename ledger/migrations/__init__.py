"""What leads from one version of the ledger's tables to the next, by Alembic; `ledger.schema` runs it."""
