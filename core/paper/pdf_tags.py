"""Tagged structure of a PDF (ISO 32000-1, 14.7 and 14.8): headings, paragraphs and table cells.

Screen readers follow this structure, and programs can use it to extract the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName
from reportlab.platypus import LongTable, Paragraph

ARTIFACT: Final = "/Artifact BMC"
"""Operator that begins decoration: lines, backgrounds, and text repeated on each page."""
END: Final = "EMC"


@dataclass(eq=False)
class Element:
    """Element of the structure tree of a PDF.

    `tag` is a standard type: Sect, H1, P, Table, TR, TH or TD. `scope` of a TH is Row or Column. `marks` are pairs of a
    page number, counted from 0, and the number of a mark on that page that encloses the element's content.
    """

    tag: str
    scope: str | None = None
    within: list[Element] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)

    def add(self, tag: str, scope: str | None = None) -> Element:
        self.within.append(made := Element(tag, scope))
        return made


class TaggedParagraph(Paragraph):  # type: ignore[misc]  # reportlab has no types
    """A paragraph that belongs to one structure element, even if it spans several pages.

    Its canvas must have the method `mark`.
    """

    element: Element
    is_drawn = False

    def split(self, width: float, height: float) -> list[Paragraph]:
        parts: list[Paragraph] = super().split(width, height)
        for part in parts:
            part.element = self.element
        return parts

    def draw(self) -> None:
        """Draw the paragraph. A table head repeated on a later page is drawn as decoration."""
        code = self.canv._code
        code.append(ARTIFACT if self.is_drawn else self.canv.mark(self.element))
        super().draw()
        code.append(END)
        self.is_drawn = True


class TaggedTable(LongTable):  # type: ignore[misc]
    """A table whose lines and backgrounds are marked as decoration."""

    def _drawBkgrnd(self) -> None:
        self.canv._code.append(ARTIFACT)
        super()._drawBkgrnd()
        self.canv._code.append(END)

    def _drawLines(self) -> None:
        self.canv._code.append(ARTIFACT)
        super()._drawLines()
        self.canv._code.append(END)


def add_structure(document: Any, root: Element, pages: Sequence[Sequence[Element]]) -> None:
    """Add the structure tree to a reportlab document.

    `pages` lists the elements of each page's marks.
    """
    objects: dict[int, Any] = {}
    top = PDFDictionary({"Type": PDFName("StructTreeRoot")})
    top.dict["K"] = _added(document, root, document.Reference(top), objects)
    numbers: list[Any] = []
    for number, (page, elements) in enumerate(zip(document.Pages.pages, pages, strict=True)):
        numbers += [number, PDFArray([document.Reference(objects[id(each)]) for each in elements])]
        # Of the keys of a page it knows some only.
        page.__Defaults__ = {**page.__Defaults__, "StructParents": number, "Tabs": PDFName("S")}
    top.dict["ParentTree"] = document.Reference(PDFDictionary({"Nums": PDFArray(numbers)}))
    document.Catalog.StructTreeRoot = top
    document.Catalog.MarkInfo = PDFDictionary({"Marked": "true"})


def _added(document: Any, element: Element, parent: Any, objects: dict[int, Any]) -> Any:
    made = PDFDictionary({"Type": PDFName("StructElem"), "S": PDFName(element.tag), "P": parent})
    objects[id(element)] = made
    reference = document.Reference(made)
    pages = document.Pages.pages
    marks = [
        PDFDictionary({"Type": PDFName("MCR"), "Pg": document.Reference(pages[page]), "MCID": number})
        for page, number in element.marks
    ]
    made.dict["K"] = PDFArray([*marks, *(_added(document, each, reference, objects) for each in element.within)])
    if element.scope:
        made.dict["A"] = PDFDictionary({"O": PDFName("Table"), "Scope": PDFName(element.scope)})
    return reference
