"""A ledger as static files, which any client of transparency logs can read and verify (C2SP tlog-tiles)."""
