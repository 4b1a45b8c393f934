"""A profile from a sound written as text, in Asterisk's or FreeSWITCH's notation."""

import re
from typing import Final

from ..profile import Profile
from .indications import from_asterisk
from .tgml import from_tgml

ASTERISK_LEVEL_DBM0: Final = -16.0
"""Default level of a tone string, which cannot contain a level."""
_TGML: Final = re.compile(r"\s*(?:tone_stream://|[a-zA-Z<>+]=)|.*[0-9A-D*#%]\(", re.DOTALL)


def from_notation(
    text: str, *, name: str = "tones", title: str | None = None, level_dbm0: float | None = None, repeat: int = 1
) -> Profile:
    """The profile from an Asterisk tone string or from TGML. A text with settings or brackets is TGML, any other is a
    tone string.

    Parts that repeat for ever are played `repeat` times. Without `level_dbm0`, TGML keeps its own levels. Raises as
    `from_asterisk` and `from_tgml` do.
    """
    if _TGML.match(text):
        return from_tgml(text, name=name, title=title, level_dbm0=level_dbm0, repeat=repeat)
    level_dbm0 = ASTERISK_LEVEL_DBM0 if level_dbm0 is None else level_dbm0
    return from_asterisk(text, name=name, title=title, level_dbm0=level_dbm0, repeat=repeat)
