"""Cleans texts that people type or paste: spaces become ordinary ones, and invisible characters are dropped. Pure."""

import unicodedata
from typing import Final

_LINE_ENDS: Final = "\r\v\f\x85\u2028\u2029"
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Fillers: invisible characters that Unicode counts among the letters and marks."""


def clean_text(text: str) -> str:
    """The text in lines that end with a line feed, with U+0020 for each space and tab. Format characters, such as
    zero-width spaces, joiners and marks of direction, are dropped.
    """
    return "".join(map(_clean_character, text.replace("\r\n", "\n")))


def _clean_character(character: str) -> str:
    if character in _LINE_ENDS:
        return "\n"
    if character == "\t" or unicodedata.category(character) == "Zs":
        return " "
    return "" if character in _UNSEEN or unicodedata.category(character) == "Cf" else character


def forbidden_character(text: str) -> str | None:
    """The first character that a line must not contain, such as U+0007 or U+3000 (IDEOGRAPHIC SPACE); None if there is
    none.
    """
    found = next((each for each in text if not each.isprintable()), None)
    if found is None:
        return None
    name = unicodedata.name(found, "")
    return f"U+{ord(found):04X}" + (f" ({name})" if name else "")
