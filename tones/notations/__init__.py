"""Text notations for sounds: Asterisk's tone strings and FreeSWITCH's TGML."""
