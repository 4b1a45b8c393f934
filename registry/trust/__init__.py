"""Download and verification of the signed registry with The Update Framework (docs/adr/0008)."""
