"""Measurement of recordings: levels, noise, clipping, and every burst of tone."""
