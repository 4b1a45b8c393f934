"""Renders a document as an archivable PDF with tags (PDF/A-2a) in A4.

The same document always yields the same file. The font is embedded. A character that the font lacks is written as its
Unicode number, such as `U+1F600`.
"""

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, partial
from importlib import resources
from typing import Any, Final
from unicodedata import category
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, SimpleDocTemplate, Spacer

from ..japan_time import JAPAN
from .content import Paper, Section, Table
from .pdf_archive import MAKER, VERSION, ArchivedFont, add_archive_parts
from .pdf_tags import ARTIFACT, END, Element, TaggedParagraph, TaggedTable, add_structure

_FONT: Final = "BIZ UDPGothic"
_MARGIN: Final = 18 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_PADDING: Final = 6
"""Padding on each side of a frame, in points."""
_INK, _PALE, _LINE = HexColor(0x222222), HexColor(0x666666), HexColor(0xBBBBBB)
_NAMES: Final = 62 * mm
"""Width of the fact names, in points."""

_TEXT: Final = ParagraphStyle("text", fontName=_FONT, fontSize=9, leading=13, textColor=_INK, spaceAfter=4)
_JAPANESE: Final = ParagraphStyle("japanese", _TEXT, wordWrap="CJK")
"""The style for text without spaces at which lines could break."""
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
    text, whole = partial(_known, _font()), Element("Document")
    title, made = text(paper.title), io.BytesIO()
    document = SimpleDocTemplate(
        made,
        pagesize=A4,
        leftMargin=_MARGIN - _PADDING,
        rightMargin=_MARGIN - _PADDING,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN + 4 * mm,
        title=title,
        author=MAKER,
        subject="",
        creator=MAKER,
        producer=MAKER,
        lang="ja",
        invariant=1,
        initialFontName=_FONT,
        displayDocTitle=True,
    )
    story = [
        part
        for number, section in enumerate(paper.sections)
        for part in _section(section, not number, text, whole.add("Sect"))
    ]
    document.build(story, canvasmaker=partial(_Numbered, title=title, at=paper.made, whole=whole))
    return made.getvalue()


@cache
def _font() -> ArchivedFont:
    with (resources.files(__package__) / "BIZUDPGothic.ttf").open("rb") as file:
        font = ArchivedFont(_FONT, file)
    pdfmetrics.registerFont(font)
    return font


def _known(font: ArchivedFont, text: str) -> str:
    """Replace each private-use character, and each that the font lacks, with its number `U+XXXX`."""
    return "".join(
        each if font.face.charToGlyph.get(ord(each)) and category(each) != "Co" else f"U+{ord(each):04X}"
        for each in text
    )


def _section(section: Section, first: bool, text: Callable[[str], str], within: Element) -> Iterator[Flowable]:
    def paragraph(what: str, style: ParagraphStyle, element: Element) -> TaggedParagraph:
        return _paragraph("<br/>".join(escape(text(line)) for line in what.split("\n")), style, element)

    yield CondPageBreak(45 * mm)
    if section.heading:
        yield paragraph(section.heading, _TITLE if first else _HEADING, within.add("H1" if first else "H2"))
    if section.facts:
        rows, table = [], within.add("Table")
        for name, value in section.facts:
            row = table.add("TR")
            names = row.add("TH", "Row")
            named = _name(name, text, names) if section.boxed else paragraph(name, _NAME, names)
            rows.append([named, paragraph(value, _TEXT, row.add("TD"))])
        style = _BOXED if section.boxed else _PLAIN
        yield TaggedTable(rows, colWidths=(_NAMES, _WIDTH - _NAMES), style=style, splitInRow=1)
        if section.boxed:
            yield Spacer(0, 2 * mm)
    for each in section.paragraphs:
        yield paragraph(each, _TEXT if each.isascii() else _JAPANESE, within.add("P"))
    if section.table:
        yield Spacer(0, 2 * mm)
        yield _table(section.table, paragraph, within.add("Table"))


def _paragraph(marked: str, style: ParagraphStyle, element: Element) -> TaggedParagraph:
    made = TaggedParagraph(marked, style)
    made.element = element
    return made


def _name(name: str, text: Callable[[str], str], element: Element) -> TaggedParagraph:
    japanese, _, english = name.partition(" / ")
    below = f'<br/><font size="{_SMALL.fontSize - 1}" color="#666666">{escape(text(english))}</font>' if english else ""
    return _paragraph(escape(text(japanese)) + below, _BOX_NAME, element)


def _table(
    table: Table, paragraph: Callable[[str, ParagraphStyle, Element], TaggedParagraph], within: Element
) -> Flowable:
    head = within.add("TR")
    rows = [[paragraph(name, _SMALL_NAME, head.add("TH", "Column")) for name in table.columns]]
    for cells in table.rows:
        row = within.add("TR")
        rows.append([paragraph(cell, _SMALL, row.add("TD")) for cell in cells])
    return TaggedTable(rows, colWidths=_widths(table), style=_RULED, repeatRows=1, splitInRow=1)


def _widths(table: Table) -> list[float]:
    given = [None if width is None else width * mm for width in table.widths or [None] * len(table.columns)]
    share = (_WIDTH - sum(filter(None, given))) / max(1, given.count(None))
    return [share if width is None else width for width in given]


class _Numbered(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Canvas with "page n of m" at the foot of each page."""

    def __init__(self, *arguments: Any, title: str, at: datetime, whole: Element, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "pdfVersion": VERSION})
        self._title, self._made, self._whole = title, at.astimezone(JAPAN), whole
        self._pages: list[dict[str, Any]] = []
        self._marks: list[list[Element]] = [[]]
        # In the place of the moment at which the file is made.
        self.setDateFormatter(lambda *_: self._made.strftime("D:%Y%m%d%H%M%S+09'00'"))

    def mark(self, element: Element) -> str:
        """Start the element's content on this page. Returns the PDF operator for it."""
        marks = self._marks[-1]
        element.marks.append((len(self._pages), len(marks)))
        marks.append(element)
        return f"/{element.tag} <</MCID {len(marks) - 1}>> BDC"

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._marks.append([])
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self._code.append(ARTIFACT)
            self.setFont(_FONT, 8)
            self.setFillColor(_PALE)
            self.drawString(_MARGIN, 12 * mm, self._title[:90])
            self.drawRightString(A4[0] - _MARGIN, 12 * mm, f"{number} / {len(self._pages)}")
            self._code.append(END)
            super().showPage()
        add_structure(self._doc, self._whole, self._marks[: len(self._pages)])
        add_archive_parts(self._doc, self._title, self._made)
        super().save()
