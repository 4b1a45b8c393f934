"""Tone profiles, and the way from a profile to samples and to files."""
