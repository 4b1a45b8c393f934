"""Limits and deadlines for HTTP servers and clients."""
