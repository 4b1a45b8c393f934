"""The ledger's Merkle tree, with its hashes, signed heads, proofs and tiles.

These modules do no I/O. `writing.log_store` stores the tree.
"""
