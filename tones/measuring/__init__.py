"""The measurement of recordings."""
