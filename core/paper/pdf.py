"""A document as PDF (A4). The same document is the same file; its font is in it, so that it looks the same anywhere.

What the font has no picture of is written as its number in Unicode, `U+1F600`: nothing of the content is lost.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from functools import cache, partial
from importlib import resources
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer

from .content import Paper, Section, Table

_JAPAN: Final = timezone(timedelta(hours=9))
_FONT: Final = "BIZ UDPGothic"
_MARGIN: Final = 18 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_PADDING: Final = 6
"""What a frame leaves free at each side, in points."""
_INK, _PALE, _LINE = HexColor(0x222222), HexColor(0x666666), HexColor(0xBBBBBB)
_NAMES: Final = 62 * mm
"""The width of the names of facts."""

_TEXT: Final = ParagraphStyle("text", fontName=_FONT, fontSize=9, leading=13, textColor=_INK, spaceAfter=4)
_JAPANESE: Final = ParagraphStyle("japanese", _TEXT, wordWrap="CJK")
"""Which has no spaces to break lines at."""
_NAME: Final = ParagraphStyle("name", _TEXT, textColor=_PALE)
_BOX_NAME: Final = ParagraphStyle("box name", _TEXT, leading=11)
_SMALL: Final = ParagraphStyle("small", _TEXT, fontSize=8, leading=11)
_SMALL_NAME: Final = ParagraphStyle("small name", _SMALL, textColor=_PALE)
_TITLE: Final = ParagraphStyle("title", _TEXT, fontSize=16, leading=22, spaceAfter=8)
_HEADING: Final = ParagraphStyle("heading", _TEXT, fontSize=11.5, leading=16, spaceBefore=12, spaceAfter=5)
_PLAIN: Final[list[tuple[Any, ...]]] = [
    ("FONTNAME", (0, 0), (-1, -1), _FONT),  # its own, which is not in the file, would be named in it
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]
_BOXED: Final = [
    *_PLAIN,
    ("GRID", (0, 0), (-1, -1), 0.5, _PALE),
    ("BACKGROUND", (0, 0), (0, -1), HexColor(0xF2F2F2)),
    ("LEFTPADDING", (0, 0), (-1, -1), 5),
    ("TOPPADDING", (0, 0), (-1, -1), 3),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
]
_RULED: Final = [*_PLAIN, ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE), ("BOTTOMPADDING", (0, 0), (-1, -1), 3)]


def as_pdf(paper: Paper) -> bytes:
    font = _font()
    made = io.BytesIO()
    document = SimpleDocTemplate(
        made, pagesize=A4, leftMargin=_MARGIN - _PADDING, rightMargin=_MARGIN - _PADDING, topMargin=_MARGIN,
        bottomMargin=_MARGIN + 4 * mm,
        title=paper.title, author="idtone", subject="", creator="idtone", lang="ja", invariant=1,
        initialFontName=_FONT,
    )  # fmt: skip
    text = partial(_known, font)
    story = [part for number, section in enumerate(paper.sections) for part in _section(section, not number, text)]
    document.build(story, canvasmaker=partial(_Numbered, paper=paper, text=text))
    return made.getvalue()


@cache
def _font() -> TTFont:
    with (resources.files(__package__) / "BIZUDPGothic.ttf").open("rb") as file:
        font = TTFont(_FONT, file)
    pdfmetrics.registerFont(font)
    return font


def _known(font: TTFont, text: str) -> str:
    return "".join(
        character if font.face.charToGlyph.get(ord(character)) else f"U+{ord(character):04X}" for character in text
    )


def _section(section: Section, first: bool, text: Callable[[str], str]) -> Iterator[Flowable]:
    def paragraph(what: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph("<br/>".join(escape(text(line)) for line in what.split("\n")), style)

    yield CondPageBreak(45 * mm)
    if section.heading:
        yield paragraph(section.heading, _TITLE if first else _HEADING)
    if section.facts and section.boxed:
        boxes = [[_name(name, text), paragraph(value, _TEXT)] for name, value in section.facts]
        yield LongTable(boxes, colWidths=(_NAMES, _WIDTH - _NAMES), style=_BOXED, splitInRow=1)
        yield Spacer(0, 2 * mm)
    elif section.facts:
        facts = [[paragraph(name, _NAME), paragraph(value, _TEXT)] for name, value in section.facts]
        yield LongTable(facts, colWidths=(_NAMES, _WIDTH - _NAMES), style=_PLAIN, splitInRow=1)
    for each in section.paragraphs:
        yield paragraph(each, _TEXT if each.isascii() else _JAPANESE)
    if section.table:
        yield Spacer(0, 2 * mm)
        yield _table(section.table, paragraph)


def _name(name: str, text: Callable[[str], str]) -> Paragraph:
    japanese, _, english = name.partition(" / ")
    below = f'<br/><font size="{_SMALL.fontSize - 1}" color="#666666">{escape(text(english))}</font>' if english else ""
    return Paragraph(escape(text(japanese)) + below, _BOX_NAME)


def _table(table: Table, paragraph: Callable[[str, ParagraphStyle], Paragraph]) -> Flowable:
    rows = [[paragraph(name, _SMALL_NAME) for name in table.columns]]
    rows += ([paragraph(cell, _SMALL) for cell in row] for row in table.rows)
    return LongTable(rows, colWidths=_widths(table), style=_RULED, repeatRows=1, splitInRow=1)


def _widths(table: Table) -> list[float]:
    """In points."""
    given = [None if width is None else width * mm for width in table.widths or [None] * len(table.columns)]
    share = (_WIDTH - sum(filter(None, given))) / max(1, given.count(None))
    return [share if width is None else width for width in given]


class _Numbered(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Pages that say at their foot which of how many they are, which is known when all are there."""

    def __init__(self, *arguments: Any, paper: Paper, text: Callable[[str], str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._paper, self._text = paper, text
        self._pages: list[dict[str, Any]] = []
        # In the place of the moment at which the file is made.
        self.setDateFormatter(lambda *_: paper.made.astimezone(_JAPAN).strftime("D:%Y%m%d%H%M%S+09'00'"))

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self.setFont(_FONT, 8)
            self.setFillColor(_PALE)
            self.drawString(_MARGIN, 12 * mm, self._text(self._paper.title)[:90])
            self.drawRightString(A4[0] - _MARGIN, 12 * mm, f"{number} / {len(self._pages)}")
            super().showPage()
        super().save()
