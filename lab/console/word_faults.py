"""Finds text that a page should not show.

Such text is a time or a code in the format for programs, or an English sentence in a Japanese page.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

from idtone.core.calls import Outcome, Reason

_NOT_READ: Final = frozenset({"script", "style", "code", "option"})
_CODES: Final = "|".join(sorted({*(each.value for each in Reason), *(each.value for each in Outcome)}, key=len)[::-1])
ODD: Final = {
    "a moment of a program": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d"),
    "a time that is not Japan's": re.compile(r"\+00:00|\bUTC(?!\+9)"),
    "a code": re.compile(rf"(?<![\w.-])(?:{_CODES})(?![\w-])"),
    "a value of the code": re.compile(r"(?<![\w-])(?:None|True|False|null|uid \d+|[a-z]+_[a-z]+=\w+)(?![\w-])"),
}
ENGLISH: Final = re.compile(r"(?:\b[A-Za-z][a-z]+\b[ ,]+){4,}[a-z]+")
"""An English sentence. Names have fewer words."""


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skips = ""
        self._is_content = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_content |= tag == "main"
        if not self._skips and (tag in _NOT_READ or ("lang", "en") in attrs):
            self._skips = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skips:
            self._skips = ""

    def handle_data(self, data: str) -> None:
        if self._is_content and not self._skips and data.strip():
            self.found.append(" ".join(data.split()))


def word_faults(page: str, language: str) -> Iterator[str]:
    """Yield each faulty text with its fault."""
    parser = _Texts()
    parser.feed(page)
    for text in parser.found:
        for name, pattern in ODD.items():
            if pattern.search(text):
                yield f"{name}: {text}"
        if language == "ja" and ENGLISH.search(text) and text.isascii():
            yield f"English: {text}"
