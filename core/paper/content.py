"""Content of a document for people: a title and sections with facts, paragraphs and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A text table. `widths` are the column widths on paper in mm; columns with None share the remaining width.

    Without `widths`, all columns have the same width.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a document.

    `facts` are name-value pairs. Line breaks in values are kept. With `boxed`, each fact has a box as on a printed
    form. An empty value leaves the box blank for handwriting, and the part of its name after ` / ` is printed small.
    """

    heading: str
    facts: Sequence[tuple[str, str]] = ()
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A document with sections. The first section's heading is also the document's heading.

    `made` is the creation time, with a time zone.
    """

    title: str
    made: datetime
    sections: Sequence[Section]


def known_facts(facts: Mapping[str, str | None]) -> Sequence[tuple[str, str]]:
    """Name-value pairs, excluding values that are None or empty."""
    return [(name, value) for name, value in facts.items() if value]
