"""What a document for people says: a title, and sections with facts, paragraphs and a table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. `widths` are the columns' widths on paper, in mm; the columns with None share the rest.

    Without `widths` all columns are equally wide.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """`facts` are names and what they are; line breaks of a value are kept. `boxed`: as on a form, each fact in a box,
    which may be empty, to be filled in by hand; the part of a name after ` / ` is small.
    """

    heading: str
    facts: Sequence[tuple[str, str]] = ()
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """`made` has a time zone. The heading of the first section is the heading of the whole."""

    title: str
    made: datetime
    sections: Sequence[Section]


def known(facts: Mapping[str, str | None]) -> Sequence[tuple[str, str]]:
    """The facts for a section: those that are neither None nor empty."""
    return [(name, value) for name, value in facts.items() if value]
