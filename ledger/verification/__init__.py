"""Verification of a ledger: every step is read again and every hash is computed again."""
