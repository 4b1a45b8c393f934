"""Stores accepted documents and the desk's answers in an SQLite file in the authority's folder.

The store is used for searches. The office's ledger contains each document's SHA-256, so it can prove the store's
content.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import TrustError
from idtone.ledger.keys.private_files import make_private
from idtone.registry.correspondence.signed_document import SignedDocument

from . import recorded_changes
from .recorded_changes import Statement

FILE: Final = "desk.sqlite3"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    member TEXT NOT NULL,
    subject TEXT NOT NULL,
    received INTEGER NOT NULL,
    octets BLOB NOT NULL,
    answer TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_subject ON documents (kind, subject);
CREATE INDEX IF NOT EXISTS by_member ON documents (kind, member, received);
"""
_ADD: Final = "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?, CAST(? AS BLOB), ?)"


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A stored document.

    `subject` is the id of the document's subject, such as a report. `octets` is the signed note, and `answer` is the
    desk's answer.
    """

    id: str
    kind: str
    member: str
    subject: str
    received: datetime
    octets: bytes
    answer: Mapping[str, Any]


class DocumentStore:
    """Store of accepted documents. Each call opens the file. All threads may use the same object."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @property
    def exists(self) -> bool:
        """True if a document has been stored."""
        return self._path.exists()

    def added(
        self, document: SignedDocument, subject: str, received: datetime, answer: Mapping[str, Any]
    ) -> list[Statement]:
        """SQL statements that store a document."""
        row = (
            document.id, document.kind, document.member, subject, int(received.timestamp() * 1e6),
            document.octets.decode(), json.dumps(answer, ensure_ascii=False),
        )  # fmt: skip
        return [(_ADD, row)]

    def forget(self, kind: str, subjects: Iterable[str]) -> None:
        """Erase documents' content, keeping their ids and times. Raises TrustError."""
        with self.opened() as database:
            database.execute("PRAGMA secure_delete = ON")
            database.executemany(
                "UPDATE documents SET octets = x'' WHERE kind = ? AND subject = ?",
                [(kind, subject) for subject in subjects],
            )

    def get(self, document_id: str) -> KeptDocument | None:
        return next(self._read("id = ?", document_id), None)

    def of(self, kind: str, *, subject: str | None = None, member: str | None = None) -> Iterator[KeptDocument]:
        """Stored documents of a kind in order of receipt, optionally for only one subject or member."""
        given = [("kind = ?", kind), ("subject = ?", subject), ("member = ?", member)]
        where = [(clause, value) for clause, value in given if value is not None]
        return self._read(" AND ".join(clause for clause, _ in where), *(str(value) for _, value in where))

    def count(self, kind: str, member: str, since: datetime) -> int:
        """Number of documents of a kind that a member has sent since a time."""
        if not self.exists:
            return 0
        query = "SELECT count(*) FROM documents WHERE kind = ? AND member = ? AND received >= ?"
        with self.opened() as database:
            (found,) = database.execute(query, (kind, member, int(since.timestamp() * 1e6))).fetchone()
        return int(found)

    def _read(self, where: str, *values: str) -> Iterator[KeptDocument]:
        if not self.exists:
            return
        query = f"SELECT * FROM documents WHERE {where} ORDER BY received, id"  # noqa: S608  clauses of our own
        with self.opened() as database:
            rows = database.execute(query, values).fetchall()
        for document_id, kind, member, subject, received, octets, answer in rows:
            at = datetime.fromtimestamp(received / 1e6, UTC)
            yield KeptDocument(document_id, kind, member, subject, at, octets, json.loads(answer))

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction in a `with` block. Raises TrustError."""
        try:
            make_private(self._path)
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                database.executescript(_SCHEMA + recorded_changes.SCHEMA)
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except (sqlite3.Error, OSError) as error:
            raise TrustError(
                "{path}: cannot be used: {reason}; check the disk", path=self._path, reason=error
            ) from error
