"""The association's word, verified by anyone who has its root: The Update Framework (docs/adr/0008)."""
