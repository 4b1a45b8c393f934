"""Sounds written as text: Asterisk's tone strings and FreeSWITCH's TGML."""
