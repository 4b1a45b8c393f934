"""Content of a document for people: a title, and sections of facts, paragraphs and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. `widths` are the column widths on paper in mm; None shares the remaining width.

    Without `widths`, all columns have the same width.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a document.

    `facts` are pairs of a name and a value, in which line breaks are kept. With `boxed`, each fact has a box as on a
    printed form. An empty value leaves the box for handwriting, and the part of its name after ` / ` is printed small.
    """

    heading: str
    facts: Sequence[tuple[str, str]] = ()
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A document with sections. The heading of the first section is also the heading of the document.

    `made` is the time of creation with a time zone.
    """

    title: str
    made: datetime
    sections: Sequence[Section]


def known_facts(facts: Mapping[str, str | None]) -> Sequence[tuple[str, str]]:
    """Pairs of name and value, without values that are None or empty."""
    return [(name, value) for name, value in facts.items() if value]
