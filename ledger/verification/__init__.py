"""Full verification of a ledger: every step is read and every hash is recomputed."""
