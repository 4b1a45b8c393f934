"""Signed documents between members and the association: confirmations, reports and their answers, figures."""
