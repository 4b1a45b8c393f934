"""Disclosure of evidence to authorities, with requests, approvals, evidence packs and legal holds."""
