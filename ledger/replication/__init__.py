"""Replicas of the nodes' ledgers in PostgreSQL, and readers that combine the ledgers of all nodes."""
