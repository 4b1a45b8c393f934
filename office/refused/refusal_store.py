"""Stores refusals in force in an SQLite file in the authority's folder.

Identities are encrypted. Refusals that were lifted or are over are deleted along with their identities. The office's
ledger records the acts without identities.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError
from idtone.member.customers.refused.identity_keys import IdentityTable
from idtone.member.customers.refused.refusal_list import RefusedToken, reference_of

FILE: Final = "refusals.sqlite3"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS epoch (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    epoch INTEGER NOT NULL,
    public BLOB NOT NULL,
    identity_table TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS refusals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    reference TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    token BLOB NOT NULL,
    number INTEGER NOT NULL REFERENCES refusals ON DELETE CASCADE
) STRICT;
CREATE INDEX IF NOT EXISTS tokens_by_number ON tokens (number);
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Public key and identity table used for all current tokens."""

    number: int
    public: bytes
    table: IdentityTable


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, in force from `since` until the day before `until`. `reference` identifies the request."""

    number: int
    reference: str
    since: date
    until: date
    sealed: bytes

    @property
    def id(self) -> str:
        return reference_of(self.number)


Sealed = Callable[[int], tuple[bytes, Sequence[bytes]]]
"""Function that maps a refusal's number to its encrypted identity and tokens."""


class RefusalStore:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def epoch(self) -> Epoch | None:
        """Current public key and identity table; None if there is no key yet."""
        if not self._path.exists():
            return None
        with self._open() as database:
            row = database.execute("SELECT epoch, public, identity_table FROM epoch").fetchone()
        return Epoch(row[0], row[1], IdentityTable.model_validate(json.loads(row[2]))) if row else None

    def refusals(self) -> list[Refusal]:
        if not self._path.exists():
            return []
        with self._open() as database:
            return list(_refusals(database))

    def tokens(self) -> list[RefusedToken]:
        """Read all refusals' tokens for the published list, in arbitrary order."""
        query = "SELECT token, since, until, number FROM tokens JOIN refusals USING (number)"
        with self._open() as database:
            days: dict[str, date] = {}
            return [
                RefusedToken(token, _day(since, days), _day(until, days), number)
                for token, since, until, number in database.execute(query)
            ]

    def add(
        self, reference: str, since: date, until: date, sealed: Sealed, record: Callable[[Refusal, int], object]
    ) -> Refusal:
        """Store a refusal. `record` receives the refusal and the number of its tokens.

        If `record` raises an exception, nothing is stored.
        """
        with self._open() as database:
            inserted = database.execute(
                "INSERT INTO refusals (reference, since, until, sealed) VALUES (?, ?, ?, x'')",
                (reference, since.isoformat(), until.isoformat()),
            )
            assert inserted.lastrowid is not None
            refusal = Refusal(inserted.lastrowid, reference, since, until, b"")
            record(refusal, _write_sealed(database, refusal.number, sealed))
            return refusal

    def remove(self, refusals: Sequence[Refusal], record: Callable[[Refusal], object]) -> None:
        """Delete refusals. `record` receives each refusal.

        If `record` raises an exception, nothing is deleted.
        """
        with self._open() as database:
            for refusal in refusals:
                record(refusal)
                database.execute("DELETE FROM refusals WHERE number = ?", (refusal.number,))

    def begin_epoch(
        self,
        epoch: Epoch,
        sealed: Callable[[Refusal], Sealed],
        record: Callable[[int], object],
        progress: Callable[[int, int], object],
    ) -> None:
        """Regenerate all refusals' tokens for a new epoch. `record` receives the number of refusals.

        If `record` raises an exception, nothing changes. `progress` receives the number of finished refusals and the
        total.
        """
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO epoch VALUES (1, ?, ?, ?)",
                (epoch.number, epoch.public, epoch.table.model_dump_json()),
            )
            database.execute("DELETE FROM tokens")
            refusals = list(_refusals(database))
            for done, refusal in enumerate(refusals, 1):
                _write_sealed(database, refusal.number, sealed(refusal))
                progress(done, len(refusals))
            record(len(refusals))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                database.executescript(_SCHEMA)
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                database.execute("PRAGMA foreign_keys = ON")
                database.execute("BEGIN")
                yield database
        except (sqlite3.Error, OSError) as error:
            raise TrustError(
                "{path}: cannot be used: {reason}; check the disk", path=self._path, reason=error
            ) from error


def _refusals(database: sqlite3.Connection) -> Iterator[Refusal]:
    query = "SELECT number, reference, since, until, sealed FROM refusals ORDER BY number"
    for number, reference, since, until, sealed in database.execute(query):
        yield Refusal(number, reference, date.fromisoformat(since), date.fromisoformat(until), sealed)


def _write_sealed(database: sqlite3.Connection, number: int, sealed: Sealed) -> int:
    octets, tokens = sealed(number)
    database.execute("UPDATE refusals SET sealed = ? WHERE number = ?", (octets, number))
    database.executemany("INSERT INTO tokens VALUES (?, ?)", ((token, number) for token in tokens))
    return len(tokens)


def _day(text: str, known: dict[str, date]) -> date:
    if text not in known:
        known[text] = date.fromisoformat(text)
    return known[text]
