"""Draws and plays profiles and recordings."""
