"""The ledger's secret keys, and files next to the database: day keys, signing keys, last signed checkpoints."""
