"""Full verification of a ledger, in which every step is read and every hash is recomputed."""
