"""Language of a page: the visitor's choice or, failing that, the browser's preference."""

import re
from typing import Final

LANGUAGES: Final = {"ja": "日本語", "en": "English"}
_PREFERENCE: Final = re.compile(r"\s*([A-Za-z]{2,3})[^;,]*(?:;\s*q=([0-9.]{1,5}))?")


def language_of(chosen: str, accepted: str) -> str:
    """The language of a page, Japanese by default.

    `chosen` comes from the address or a cookie, and `accepted` is the Accept-Language header.
    """
    if chosen in LANGUAGES:
        return chosen
    best, best_quality = "ja", 0.0
    for part in accepted.split(",")[:20]:
        match = _PREFERENCE.match(part)
        if match is None or match[1].lower() not in LANGUAGES:
            continue
        quality = _number(match[2]) if match[2] else 1.0
        if quality > best_quality:
            best, best_quality = match[1].lower(), quality
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
