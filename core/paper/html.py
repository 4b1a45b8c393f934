"""Renders a document as one HTML page without external resources."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from .content import Paper, Section

_STYLE: Final = """
body { font-family: "Noto Sans JP", "Hiragino Sans", "Yu Gothic", sans-serif; color: #222 }
body { max-width: 62em; margin: 2em auto }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #999 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25em .8em .25em 0 }
th { font-weight: 600; white-space: nowrap } td { overflow-wrap: anywhere; white-space: pre-line }
.boxed :is(th, td) { border: 1px solid #999; padding: .4em .6em } .boxed th { width: 16em; white-space: normal }
.rows td { border-top: 1px solid #ddd }
@media print { h2 { break-after: avoid } table { break-inside: avoid } }
"""


def as_html(paper: Paper) -> bytes:
    parts = [
        "<!doctype html><html lang=ja><meta charset=utf-8>",
        f"<title>{escape(paper.title)}</title><style>{_STYLE}</style>",
        *(part for number, section in enumerate(paper.sections) for part in _section(section, 2 if number else 1)),
        "</html>",
    ]
    return "\n".join(parts).encode()


def _section(section: Section, level: int) -> Iterator[str]:
    yield f"<h{level}>{escape(section.heading)}</h{level}>"
    if section.facts:
        rows = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}</tr>" for name, value in section.facts)
        yield f"<table{' class=boxed' if section.boxed else ''}>{rows}</table>"
    yield from (f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs)
    if section.table:
        head = "".join(f"<th>{escape(name)}" for name in section.table.columns)
        rows = "".join(f"<tr>{_cells(row)}</tr>" for row in section.table.rows)
        yield f"<table class=rows><tr>{head}</tr>{rows}</table>"


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{escape(cell)}" for cell in row)
