"""The ledger's Merkle tree: its hashes, its signed heads and its proofs. All pure; `idtone.ledger.log` keeps it."""
