"""The ledger's secret keys and the files next to its database, such as the last signed checkpoint."""
