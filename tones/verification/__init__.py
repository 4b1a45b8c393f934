"""Verifies that a recording contains a profile's sound."""
