"""The one writer of a node's ledger. It acknowledges durable steps, and counts lost ones."""
