"""The results of a bench in pages of the documentation, between two marks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

END: Final = "<!-- until here -->"


def begin(bench: str) -> str:
    """The mark that begins the text of `make BENCH`."""
    return f"<!-- made by make {bench} -->"


def text_in(page: Path, bench: str) -> str:
    """Text of a bench on a page.

    Raises ValueError if the page has no place for it.
    """
    return _parts(page, bench)[1]


def write_texts(texts: Mapping[Path, str], bench: str) -> None:
    """Write texts into their pages, or none of them.

    Raises ValueError if a page has no place for its text.
    """
    made = {}
    for page, text in texts.items():
        before, _, after = _parts(page, bench)
        made[page] = f"{before}{begin(bench)}\n\n{text}\n{END}{after}"
    for page, text in made.items():
        page.write_text(text)


def _parts(page: Path, bench: str) -> tuple[str, str, str]:
    """The text of the bench, with what stands before and after it on the page."""
    before, first, rest = page.read_text().partition(begin(bench))
    text, last, after = rest.partition(END)
    if not (first and last):
        raise ValueError(f"{page}: the text goes between the lines {begin(bench)} and {END}, which it must have")
    return before, text, after
