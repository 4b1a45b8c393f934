"""The ledger's Merkle tree: its hashes, its signed heads and its proofs. All pure; `writing.log_store` stores it."""
