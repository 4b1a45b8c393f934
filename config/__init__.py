"""Commented default settings, the sample registry and the shipped tone profiles, as files to copy."""
