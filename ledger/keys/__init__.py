"""Keys and the files beside the ledger that hold them: day keys, the key ring, sealed numbers, what was signed last."""
