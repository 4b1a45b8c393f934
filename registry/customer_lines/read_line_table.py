"""Reads the table of customer lines from a YAML file or a database."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from idtone.core.errors import DocumentError, Fault
from idtone.core.settings.customer_lines import LinesSettings
from idtone.core.translation import Message
from idtone.core.yaml_documents import parse, read_text

from . import rows
from .consistency import document_faults
from .databases import place_of, rows_of
from .lines_document import Entry, LinesDocument, entries_of
from .ready_queries import READY


class UnparsedTable:
    """A source's unparsed content. `origin` is its digest."""

    def __init__(self, name: str, content: str | tuple[Sequence[str], Sequence[Sequence[Any]]]) -> None:
        self.name, self._content = name, content
        self.origin = digest_of_text(content) if isinstance(content, str) else _digest_of_rows(*content)

    def entries(self) -> list[Entry]:
        """Parse the table's entries. Raises DocumentError with the location of each fault."""
        if isinstance(self._content, str):
            return entries_of(parse(self._content, self.name, LinesDocument, document_faults))
        return rows.entries_of(*self._content, self.name)


def read(source: str, query: str | None, password: str | None) -> UnparsedTable:
    """Read a source without parsing it. Raises DocumentError."""
    if "://" not in source:
        return UnparsedTable(source, file_text(Path(source)))
    return UnparsedTable(place_of(source), rows_of(source, password, READY.get(query or "", query or "")))


def read_as_set(settings: LinesSettings) -> UnparsedTable:
    """Read the source named by the settings without parsing it. Raises DocumentError."""
    settings.check()
    if settings.source is None:
        raise DocumentError(
            [
                Fault(
                    "settings",
                    0,
                    0,
                    "lines.source",
                    Message("is not set: customers' numbers are not checked"),
                    Message("Name a YAML file, or a database"),
                )
            ]
        )
    return read(settings.source, settings.query, settings.secret())


def file_text(path: Path) -> str:
    """Read the table's file. Raises DocumentError, including for a pipe, which would block."""
    if path.exists() and not path.is_file():
        raise DocumentError(
            [Fault(str(path), 0, 0, "", Message("it is not a regular file"), Message("Put the table's file there"))]
        )
    return read_text(path)


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of_rows(columns: Iterable[str], found: Iterable[Sequence[Any]]) -> str:
    """Digest of rows, regardless of their order, because a database guarantees no order."""
    digest = hashlib.sha256("\t".join(columns).encode())
    for line in sorted("\t".join(map(str, row)) for row in found):
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()
