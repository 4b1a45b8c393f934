"""Tone profiles: profile → samples → files."""
