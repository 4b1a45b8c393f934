"""Replicas of the nodes' ledgers in PostgreSQL, and readers for the ledgers of all nodes together."""
