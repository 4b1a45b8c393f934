"""Tone profiles; synthesis, measurement and verification of their sounds; sound files and recordings."""
