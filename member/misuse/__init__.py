"""Detects misuse in a member's own ledger: calls whose times, numbers or order look like fraud."""
