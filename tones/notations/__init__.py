"""Sounds written down as text, in the ways of Asterisk and of FreeSWITCH."""
