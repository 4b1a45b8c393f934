"""Whether a ledger is what was signed: every step is read again and every hash is computed again."""
