"""A ledger as static files (C2SP tlog-tiles), which any transparency log client can verify."""
