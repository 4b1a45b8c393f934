"""Telephone numbers that each line of the operator's customers may present."""
