"""The leaves of a tree as rows of a ledger's file. The writer holds all keys, or none."""

import json
import re
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.leaves import StoredStep
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.merkle import Frontier, leaf_hash

from ..sample_evidence import LOG, RING, SEED, url_of
from ..sample_ledger import verification_faults, write

_STEP: Final = re.compile(
    r'\{"at":([^{}]+?),"details":(.*?),"id":([^{}]+?),"kind":("[^"]*"),"node":("[^"]*")\}(?=[,\]])'
)
_CALL: Final = re.compile(r'"call":("[^"]*"),"steps":\[\{')

Row = tuple[Any, ...]


class NotRows(Exception):
    """The leaves cannot be written as rows of a database."""


def without_day(content: bytes) -> bytes:
    """The leaf without its day, so that it needs no day key."""
    return content.replace(b'"day":"2026-11-01",', b"")


def rows_of(leaves: Sequence[bytes]) -> list[Row]:
    """Rows of the leaves' steps, sorted by id: (id, node, call_id, kind, at, details, leaf). Raises NotRows."""
    rows = []
    for number, content in enumerate(leaves):
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise NotRows from None
        call, found = _CALL.search(text), _STEP.findall(text)
        if not call or not found:
            raise NotRows
        for place, (at, details, step, kind, node) in enumerate(found, 1):
            try:
                # SQLite converts such texts to whole numbers.
                values = [json.loads(each) for each in (step, node, call[1], kind, at.strip('"'))]
            except ValueError:
                raise NotRows from None
            rows.append((*values, details, number if place == len(found) else None))
    ids = [row[0] for row in rows]
    if any(not isinstance(each, int) or abs(each) >= 2**63 for each in ids) or len({*ids}) < len(ids):
        raise NotRows
    return sorted(rows)


class LedgerFiles:
    """A folder in which `faults` creates its ledgers."""

    def __init__(self, folder: Path) -> None:
        self._empty = folder / "empty" / "ledger.sqlite3"
        self._file = folder / "ledger" / "ledger.sqlite3"
        write(url_of(self._empty))

    def faults(self, rows: Sequence[Row], hashed: Sequence[bytes], of: Sequence[Row] | None = None) -> list[str]:
        """Faults that `verify` finds in a ledger with these rows.

        Its signed tree hashes `hashed`. Its MACs are those of the rows `of`, by default the same rows.
        """
        shutil.rmtree(self._file.parent, ignore_errors=True)
        shutil.copytree(self._empty.parent, self._file.parent)
        frontier, hashes = Frontier(), []
        for content in hashed:
            hashes += frontier.append(leaf_hash(content))
        text = Checkpoint(LOG.name, len(hashed), frontier.root()).text
        note = Note(text, (Signer(LOG.name, SEED).sign(text),))
        key, mac, macs = RING.step_key(LOG.name), b"", b""
        for row in rows if of is None else of:
            mac = key.mac(mac, StoredStep._make(row[:-1]), row[-1])
            macs += mac
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute("PRAGMA synchronous=OFF")
            for table in ("steps", "hashes", "macs"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  the table names are fixed
            connection.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO hashes VALUES (?, ?)", enumerate(hashes))
            connection.execute("INSERT INTO macs VALUES (?, ?)", (max(row[0] for row in rows), macs))
            connection.execute("REPLACE INTO meta (key, value) VALUES ('checkpoint', ?)", (str(note),))
        return verification_faults(url_of(self._file))
