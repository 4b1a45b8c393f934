"""The one writer of a node's ledger. It acknowledges steps that are on the disk, and counts lost steps."""
