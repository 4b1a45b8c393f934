"""The ledger's secret keys, and files next to the database, such as the last signed checkpoints."""
