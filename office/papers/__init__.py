"""Printed papers of the office: activity accounts, certificates, letters, and the paper about a suspension."""
