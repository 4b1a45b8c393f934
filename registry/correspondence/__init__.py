"""Signed documents that members exchange with the association, such as confirmations and reports."""
