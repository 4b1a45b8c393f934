"""A ledger as static files (C2SP tlog-tiles), which any client of transparency logs can verify."""
