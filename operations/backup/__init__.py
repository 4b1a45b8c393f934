"""Backups of a node: encrypted archives, what is in them, and how a node is made of them again."""
