"""The only writer of a node's ledger, which acknowledges written steps and counts lost steps."""
