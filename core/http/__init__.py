"""Limits, guards of connections and deadlines that servers and clients over HTTP share."""
