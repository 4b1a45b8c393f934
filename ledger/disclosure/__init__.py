"""Giving evidence out: request, approval and pack."""
