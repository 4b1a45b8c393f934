"""The one writer of a node's ledger: it acknowledges what is durable, and counts what is lost."""
