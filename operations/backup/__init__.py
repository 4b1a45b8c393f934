"""Backs up a node to encrypted archives, and restores it from them."""
