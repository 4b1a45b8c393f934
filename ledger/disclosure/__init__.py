"""Disclosure of evidence to authorities: requests, approvals, evidence packs and legal holds."""
