"""The only writer of a node's ledger: it acknowledges written steps, and counts lost steps."""
