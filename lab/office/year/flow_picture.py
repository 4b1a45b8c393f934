"""Draws the state after a step as SVG: rows of boxes, from left to right, with arrows between them."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _BETWEEN, _MARGIN, _HEAD = 230, 64, 130, 24, 44
"""Sizes in pixels: width and height of a box, gap between boxes, margin of the picture, and height of its title."""


class Tone(StrEnum):
    """Colour of a box."""

    PLAIN = "#f4f4f4"
    GOOD = "#dff2df"
    BAD = "#f8dcdc"
    WAITING = "#fdf3d0"


class Box:
    """A box. Its first line is its name, and `arrow` is the text on the arrow to the next box."""

    def __init__(self, *lines: str, tone: Tone = Tone.PLAIN, arrow: str = "") -> None:
        self.lines, self.tone, self.arrow = lines, tone, arrow


Rows = Sequence[Sequence[Box]]


def draw(path: Path, title: str, rows: Rows) -> None:
    """Write the picture to `path`. Raises OSError."""
    longest = max(map(len, rows))
    width = 2 * _MARGIN + longest * _WIDTH + (longest - 1) * _BETWEEN
    height = _HEAD + len(rows) * (_HEIGHT + _MARGIN) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="30" font-size="17">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, _HEAD + _MARGIN // 2 + number * (_HEIGHT + _MARGIN))
    path.write_text("\n".join([*parts, "</svg>", ""]), "utf-8")


def _row(row: Sequence[Box], top: int) -> Iterator[str]:
    for number, box in enumerate(row):
        left, middle = _MARGIN + number * (_WIDTH + _BETWEEN), top + _HEIGHT // 2
        yield f'<rect x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{box.tone}" stroke="#888"/>'
        first = middle + 5 - 9 * (len(box.lines) - 1)
        for line, text in enumerate(box.lines):
            weight = ' font-weight="bold"' if line == 0 else ""
            yield f'<text x="{left + 12}" y="{first + 18 * line}"{weight}>{escape(text)}</text>'
        if number + 1 < len(row):
            right = left + _WIDTH
            tip = right + _BETWEEN - 4
            yield f'<line x1="{right + 4}" y1="{middle}" x2="{tip - 8}" y2="{middle}" stroke="#444"/>'
            yield f'<path d="M{tip - 9} {middle - 5} L{tip} {middle} L{tip - 9} {middle + 5} z" fill="#444"/>'
            yield (
                f'<text x="{right + _BETWEEN // 2}" y="{middle - 8}" text-anchor="middle" '
                f'font-size="11">{escape(box.arrow)}</text>'
            )
