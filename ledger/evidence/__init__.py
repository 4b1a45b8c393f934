"""The evidence of one call: its steps, its leaf in the Merkle tree, and its record."""
