"""Signed documents between members and the association: confirmations, reports with their answers, and figures."""
