"""Downloads and verifies the signed registry with The Update Framework (docs/adr/0008)."""
