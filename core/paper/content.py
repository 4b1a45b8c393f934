"""The content of a document for people: a title, and sections with facts, paragraphs and a table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. `widths` are the widths of the columns on paper, in mm; the columns with None share the rest.

    Without `widths` all columns are equally wide.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a document. `facts` are pairs of a name and a value; line breaks of a value are kept. With `boxed`,
    each fact has a box, as on a form. An empty box is filled in by hand, and the part of its name after ` / ` is
    printed small.
    """

    heading: str
    facts: Sequence[tuple[str, str]] = ()
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A document. `made` has a time zone. The heading of the first section is the heading of the whole document."""

    title: str
    made: datetime
    sections: Sequence[Section]


def known_facts(facts: Mapping[str, str | None]) -> Sequence[tuple[str, str]]:
    """The facts that are neither None nor empty."""
    return [(name, value) for name, value in facts.items() if value]
