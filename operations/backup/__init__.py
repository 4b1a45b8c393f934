"""Backups of a node: encrypted archives, their content, and the restore from them."""
