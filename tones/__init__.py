"""Tone profiles, and the synthesis, measurement and verification of their sounds."""
