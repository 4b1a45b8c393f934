"""Reads a profile from text in Asterisk's or FreeSWITCH's notation."""

import re
from typing import Final

from ..profile import Profile
from .indications import from_asterisk
from .tgml import from_tgml

ASTERISK_LEVEL_DBM0: Final = -16.0
"""Default level of a tone string, which cannot contain a level, in dBm0."""
_TGML: Final = re.compile(r"\s*(?:tone_stream://|[a-zA-Z<>+]=)|.*[0-9A-D*#%]\(", re.DOTALL)


def from_notation(
    text: str, *, name: str = "tones", title: str | None = None, level_dbm0: float | None = None, repeat: int = 1
) -> Profile:
    """The profile for an Asterisk tone string or TGML.

    Text with settings or parentheses is TGML, and any other text is a tone string. Parts that repeat forever are played
    `repeat` times. If `level_dbm0` is None, TGML keeps its own levels. Raises the errors of `from_asterisk` and
    `from_tgml`.
    """
    if _TGML.match(text):
        return from_tgml(text, name=name, title=title, level_dbm0=level_dbm0, repeat=repeat)
    level_dbm0 = ASTERISK_LEVEL_DBM0 if level_dbm0 is None else level_dbm0
    return from_asterisk(text, name=name, title=title, level_dbm0=level_dbm0, repeat=repeat)
