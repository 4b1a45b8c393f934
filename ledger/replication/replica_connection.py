"""The PostgreSQL connection that writes a ledger's replica (docs/adr/0015).

The connection compares the replica with the ledger before it writes. While it waits for PostgreSQL, the ledger is not
locked, so the service continues to write evidence.
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import time
from typing import Final

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import VerifierKey

from ..keys.key_file import read_key
from ..keys.key_ring import own_key, successor_trees_of
from ..keys.sealing import LedgerKey
from ..store.calls_in_progress import update_calls_in_progress
from ..store.database import Connection, Database, scalar
from ..store.meta import CHECKPOINT, COSIGNED, HEARD_AT, LOG_KEY, NODE, NODE_STEPS, ORIGIN, SET_META, STATE
from ..store.postgresql import PostgreSQLConnection, Server, begin_writing, schema_of
from ..store.schema import make_or_upgrade
from ..store.sqlite import path_of
from .replica_batch import Batch, ReplicaDiffersError, ReplicaPosition, batch_after, check_replica, replica_position

ANSWER_WITHIN_S: Final = 45.0
"""Time in seconds without an answer after which the connection is given up. It exceeds any wait in PostgreSQL."""
ENCODINGS: Final = ("UTF8", "SQL_ASCII")
"""Database encodings that preserve every text in a ledger."""

_log = logging.getLogger(__name__)


def key_of_own_ledger(settings: LedgerSettings, node: str) -> VerifierKey:
    """The verifier key for the log in the node's database.

    Raises LedgerError while a new ledger replaces a damaged one.
    """
    key = own_key(settings, node)
    # In this order: the ledger that follows another one is named first, and then its database is begun.
    path = path_of(settings.own_url())
    if successor_trees_of(settings, node).tree_without_database(path):
        raise LedgerError(
            "{path}: it is damaged, and another one is about to begin; that one is replicated next", path=path
        )
    return key


def lost_leaves(connection: Connection, settings: LedgerSettings, node: str) -> int:
    """The number of signed leaves that never arrived in PostgreSQL.

    Such leaves are in damaged ledgers that were set aside.
    """
    lost = 0
    for tree in successor_trees_of(settings, node).trees:
        origin, size, _ = tree.ended
        schema = schema_of(origin)
        arrived = 0
        if scalar(connection, "SELECT to_regclass(?)", (f"{schema}.steps",)) is not None:
            # `schema_of` makes names of letters, digits and lines only.
            arrived = scalar(connection, f"SELECT coalesce(max(leaf) + 1, 0) FROM {schema}.steps")  # noqa: S608
        lost += max(0, size - arrived)
    return lost


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The result of reporting the node's state to PostgreSQL.

    PostgreSQL's clock is ahead of the machine's clock by `ahead_least_s` to `ahead_most_s`. `writer` wrote this report,
    and `before` wrote the previous one. `before` is None if there was none.
    """

    ahead_least_s: float
    ahead_most_s: float
    writer: str
    before: str | None


class ReplicaConnection:
    """A connection that writes a ledger's replica, for use by one thread.

    Compares the replica with the ledger before writing. Every wait is limited in time. Raises LedgerError if the
    settings cannot be used. PostgreSQL need not be available on creation.
    """

    def __init__(self, settings: LedgerSettings, node: str) -> None:
        """Check the settings. Raises LedgerError if they cannot be used. PostgreSQL need not be available."""
        self._settings = settings
        self._server = Server.of(settings)
        self._ledger = Database.in_file(settings.own_url())
        self._node = node
        self._connection: PostgreSQLConnection | None = None
        self._is_entered = False
        """True if the schema exists and belongs to this log."""
        self._left_at: ReplicaPosition | None = None
        """The replica's position after this connection's last write. If it has not changed, no comparison is needed."""
        self.lost_leaves = 0
        """Number of lost leaves when the connection was opened."""
        self._turn_to(own_key(settings, node))

    @property
    def key(self) -> VerifierKey:
        """The replicated log's verifier key, which changes after a damaged ledger is set aside."""
        return self._key

    def _turn_to(self, key: VerifierKey) -> None:
        self._key = key
        ledger_key = self._settings.key_file
        self._step_key = LedgerKey(read_key(ledger_key)).step_key(key.name) if ledger_key.exists() else None
        self._schema = schema_of(key.name)

    def replicate(self) -> Batch:
        """Write one batch of steps to the replica in one transaction, and return it.

        After a LedgerError, the next call reconnects.
        """
        try:
            if (key := key_of_own_ledger(self._settings, self._node)) != self._key:
                self.close()
                self._turn_to(key)
            with self._server.explaining():
                if not self._is_entered:
                    with self._answering() as timer, self._writing() as connection:
                        self._enter(connection, timer)
                    self._is_entered = True
                with self._answering(), self._writing() as connection:
                    batch = self._add(connection)
        except BaseException:
            self.close()
            raise
        self._left_at = batch.position
        return batch

    def report(self, writer: str, state: str) -> ReportResult:
        """Write the node's state, a JSON object, next to its replica, along with PostgreSQL's time.

        `writer` is a name that consists of letters and digits. The replica may lag or differ. After a LedgerError, the
        next call reconnects.
        """
        try:
            # A report lost in a crash of PostgreSQL comes again a second later, so the commit does not wait for a disk.
            with (
                self._server.explaining(),
                self._answering(),
                self._writing("; SET LOCAL synchronous_commit TO off") as connection,
            ):
                sent_s = time()
                row = connection.execute(_REPORT, (STATE, STATE, writer, state, str(self._key))).fetchone()
                answered_s = time()
                if row is None:
                    self._check_key(scalar(connection, _LOG_KEY))
        except BaseException:
            self.close()
            raise
        at_s, before = row[0] / 1_000_000, row[1]
        return ReportResult(at_s - answered_s, at_s - sent_s, writer, before)

    def abort_waits(self) -> None:
        """Abort every wait for PostgreSQL, from any thread.

        Thread-safe.
        """
        connection = self._connection
        if connection is None or connection.driver.closed:
            return
        try:
            with socket.socket(fileno=os.dup(connection.driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
        except Exception as error:
            _log.debug("the connection has ended by itself: %s", type(error).__name__)

    def close(self) -> None:
        self._left_at, self._is_entered = None, False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _answering(self) -> Iterator[threading.Timer]:
        timer = threading.Timer(ANSWER_WITHIN_S, self.abort_waits)
        timer.daemon = True
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    @contextmanager
    def _writing(self, begin: str = "") -> Iterator[PostgreSQLConnection]:
        if self._connection is None:
            self._connection = self._server.connect()
        with self._connection.writing(begin_writing(self._schema) + begin):
            yield self._connection

    def _enter(self, connection: PostgreSQLConnection, timer: threading.Timer) -> None:
        """Create the replica's schema, or upgrade it to this version.

        Raises LedgerError if the schema belongs to another log.
        """
        if (encoding := scalar(connection, "SHOW server_encoding")) not in ENCODINGS:
            raise LedgerError(
                "{server}: its encoding is {encoding}, which does not hold every character; make another "
                "database: createdb -E UTF8 -T template0 -O USER NAME",
                server=self._server,
                encoding=encoding,
            )
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (self._schema,))
        if scalar(connection, "SELECT to_regnamespace(?)", (self._schema,)) is None:
            user, may_make = connection.execute(_MAY_MAKE).fetchone()
            if not may_make:
                raise LedgerError(
                    "{server}: {user} may make no schema there; have an administrator do it: CREATE SCHEMA "
                    '{schema} AUTHORIZATION "{user}"',
                    server=self._server,
                    user=user,
                    schema=self._schema,
                )
            connection.execute(f"CREATE SCHEMA {self._schema}")
        is_new = scalar(connection, "SELECT to_regclass('meta')") is None
        if not is_new:
            self._check_key(scalar(connection, _LOG_KEY))

        def upgrading() -> None:
            """Lift the time limits, because larger ledgers take longer to upgrade."""
            timer.cancel()
            connection.execute("SET LOCAL statement_timeout = 0")

        self.lost_leaves = lost_leaves(connection, self._settings, self._node)
        make_or_upgrade(connection, f"{self._server}, schema {self._schema}", upgrading)
        if is_new:
            for name, value in {ORIGIN: self._key.name, LOG_KEY: str(self._key)}.items():
                connection.execute(SET_META, (name, value))
            _log.info("%s: the replica of %s begins there as %s", self._server, self._key.name, self._schema)

    def _add(self, connection: PostgreSQLConnection) -> Batch:
        # The row is locked, so that one transaction follows the other, of whichever process.
        self._check_key(scalar(connection, f"{_LOG_KEY} FOR UPDATE"))
        position = replica_position(connection)
        if position != self._left_at:
            try:
                check_replica(connection, self._ledger, position)
            except ReplicaDiffersError as error:
                raise LedgerError(
                    "{server}, schema {schema}: {error}. Nothing is replicated: find out which of the two is "
                    "right; evidence is kept here meanwhile",
                    server=self._server,
                    schema=self._schema,
                    error=error,
                ) from error
        batch = batch_after(self._ledger, position, self._step_key)
        if key_of_own_ledger(self._settings, self._node) != self._key:
            raise LedgerError(
                "{ledger}: it was set aside, and another one began; that is replicated next", ledger=self._ledger.name
            )
        connection.copy("steps (id, node, call_id, kind, at, details, leaf)", batch.steps)
        connection.copy("hashes (place, hash)", batch.hashes)
        connection.copy("sought (token, step)", batch.sought)
        connection.execute("DELETE FROM macs WHERE last > ?", (position.steps,))
        connection.copy("macs (last, macs)", batch.macs)
        update_calls_in_progress(connection, position.steps, {row[3] for row in batch.steps})
        told = {NODE: self._node, NODE_STEPS: str(batch.position.steps + batch.behind), COSIGNED: self._cosigned_note()}
        told |= {CHECKPOINT: batch.checkpoint} if batch.checkpoint else {}
        for name, value in told.items():
            if value:
                connection.execute(SET_META, (name, value))
        connection.execute(_HEARD, (HEARD_AT,))
        return batch

    def _check_key(self, held: str | None) -> None:
        if held != str(self._key):
            raise LedgerError(
                "{server}: another node replicates as {name}, with the key {held}; give this one another "
                "name (node in idtone.yaml), or another ledger.origin",
                server=self._server,
                name=self._key.name,
                held=held,
            )

    def _cosigned_note(self) -> str:
        """The note cosigned by witnesses; empty if there is none."""
        try:
            return self._settings.cosigned_file().read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            _log.debug(
                "%s: %s", self._settings.cosigned_file(), type(error).__name__
            )  # the code that needs it reports it
            return ""


_MAY_MAKE: Final = "SELECT current_user, has_database_privilege(current_database(), 'CREATE')"
_LOG_KEY: Final = f"SELECT value FROM meta WHERE key = '{LOG_KEY}'"  # noqa: S608 - of our own words
_HEARD: Final = (
    "INSERT INTO meta SELECT CAST(? AS text), CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) "
    "AS text) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_REPORT: Final = """
WITH before AS (SELECT substring(value FROM '"writer": "([a-z0-9]+)"') AS writer FROM meta WHERE key = ?),
clock AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS at)
INSERT INTO meta (key, value)
SELECT CAST(? AS text),
'{"heard": ' || at || ', "writer": "' || CAST(? AS text) || '", "state": ' || CAST(? AS text) || '}'
FROM clock, meta AS own WHERE own.key = 'log_key' AND own.value = ?
ON CONFLICT (key) DO UPDATE SET value = excluded.value
RETURNING (SELECT at FROM clock), (SELECT writer FROM before)
"""
"""SQL for a report. Its UPDATE changes no index, so PostgreSQL can write the new row next to the old one (HOT)."""
