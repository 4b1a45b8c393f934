"""Disclosure of evidence: request, approval and pack."""
