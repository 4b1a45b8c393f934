"""Keys and the files beside the ledger: day keys, the key ring, sealed numbers, and the last signed checkpoints."""
