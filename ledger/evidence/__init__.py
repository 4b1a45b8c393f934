"""Evidence about a call, as steps, a leaf in the Merkle tree, and a record."""
