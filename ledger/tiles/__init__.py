"""A ledger as static files that any client of transparency logs reads and verifies (C2SP tlog-tiles)."""
