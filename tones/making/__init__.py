"""Converts profiles to samples and sound files, with the same result on every machine."""
