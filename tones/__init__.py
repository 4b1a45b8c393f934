"""Tone profiles: synthesis, measurement and verification of their sounds, with sound files and recordings."""
