"""The Merkle tree of the ledger: its hashes, signed heads, proofs and tiles.

The modules are pure; `writing.log_store` stores the tree.
"""
