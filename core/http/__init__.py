"""Limits and deadlines of HTTP connections, for servers and clients."""
