"""Cleans text that people type or paste of unusual spaces and invisible characters."""

import unicodedata
from typing import Final

_LINE_ENDS: Final = "\r\v\f\x85\u2028\u2029"
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Fillers: invisible characters that Unicode counts among the letters and marks."""


def clean_text(text: str) -> str:
    """Normalize spaces and line ends and remove invisible characters.

    Each space or tab becomes U+0020. Zero-width spaces, joiners and direction marks are removed.
    """
    return "".join(map(_clean_character, text.replace("\r\n", "\n")))


def _clean_character(character: str) -> str:
    if character in _LINE_ENDS:
        return "\n"
    if character == "\t" or unicodedata.category(character) == "Zs":
        return " "
    return "" if character in _UNSEEN or unicodedata.category(character) == "Cf" else character


def forbidden_character(text: str) -> str | None:
    """The first character that a line may not contain, such as U+0007 or U+3000 (IDEOGRAPHIC SPACE), or None."""
    found = next((each for each in text if not each.isprintable()), None)
    if found is None:
        return None
    name = unicodedata.name(found, "")
    return f"U+{ord(found):04X}" + (f" ({name})" if name else "")
