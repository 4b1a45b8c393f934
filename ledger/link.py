"""A connection to PostgreSQL by which a node's ledger is copied there: it compares before it ships (docs/adr/0015).

Nothing of the spool is locked while PostgreSQL is waited for: the evidence of calls is written there meanwhile.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event, select, text

from idtone.errors import LedgerError
from idtone.settings import LedgerSettings

from .custody import continuity_of, own_key
from .log import facts, tree_from
from .postgresql import Server, schema_of
from .schema import make_or_upgrade
from .source import Source
from .spool import DiffersError, Piece, Place, check_copy, piece_after, place_of
from .sqlite import path_of
from .tables import (
    CHECKPOINT,
    COSIGNED,
    HEARD_AT,
    LOG_KEY,
    NODE,
    NODE_STEPS,
    ORIGIN,
    TREE_FROM,
    meta,
    upsert_meta,
)  # fmt: skip
from .tree.notes import VerifierKey

ANSWER_WITHIN_S: Final = 45.0
"""After this the connection is given up: longer than PostgreSQL itself waits for anything."""
ENCODINGS: Final = ("UTF8", "SQL_ASCII")
"""Of databases that give back whatever a ledger holds."""

_log = logging.getLogger(__name__)


def key_in_spool(settings: LedgerSettings, node: str) -> VerifierKey:
    """That of the log whose database the spool is. Raises LedgerError where that is not sure now."""
    key = own_key(settings, node)
    # In this order: what follows another ledger is named first, and then its database is begun.
    path = path_of(settings.own())
    if continuity_of(settings, node).unfinished(path):
        raise LedgerError(f"{path}: it is damaged, and another one is about to be begun; that is shipped next")
    return key


def lacking(connection: Connection, settings: LedgerSettings, node: str) -> int:
    """How many leaves were signed of ledgers that were damaged and set aside, and never came to PostgreSQL."""
    lost = 0
    for tree in continuity_of(settings, node).trees:
        origin, size, _ = tree.ended
        schema = schema_of(origin)
        arrived = 0
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"{schema}.steps"}) is not None:
            # `schema_of` makes names of letters, digits and lines only.
            arrived = connection.scalar(text(f"SELECT coalesce(max(leaf) + 1, 0) FROM {schema}.steps")) or 0  # noqa: S608
        lost += max(0, size - arrived)
    return lost


class Link:
    """A connection to the copy of one ledger, for one thread; it compares before it ships, and never waits for ever."""

    def __init__(self, settings: LedgerSettings, node: str) -> None:
        """Raises LedgerError where the settings cannot be used. PostgreSQL need not be there."""
        self._settings = settings
        self._server = Server.of(settings)
        self._spool = Source.in_file(settings.own())
        self._node = node
        self._driver: Any = None
        self._connection: Connection | None = None
        self._left_at: Place | None = None
        """Where this connection left the copy: nothing needs to be compared where it is still there."""
        self.lacking = 0
        """As it was when the connection was made."""
        self._turn_to(own_key(settings, node))

    @property
    def key(self) -> VerifierKey:
        """Of the log that is shipped: another one after a damaged ledger was set aside."""
        return self._key

    def _turn_to(self, key: VerifierKey) -> None:
        self._key = key
        self._schema = schema_of(key.name)
        self._engine = self._server.writing_engine(self._schema)
        event.listen(self._engine, "do_connect", self._connect)

    def ship(self) -> Piece:
        """One transaction; what it has shipped. Raises LedgerError; then the next one begins with a new connection."""
        try:
            if (key := key_in_spool(self._settings, self._node)) != self._key:
                self.close()
                self._turn_to(key)
            with self._explaining():
                if self._connection is None:
                    with self._answering() as timer:
                        self._connection = self._engine.connect()
                        with self._connection.begin():
                            self._enter(self._connection, timer)
                with self._answering(), self._connection.begin():
                    piece = self._add(self._connection)
        except BaseException:
            self.close()
            raise
        self._left_at = piece.place
        return piece

    def cut(self) -> None:
        """Break off whatever is waited for. From any thread."""
        driver = self._driver
        if driver is None or driver.closed:
            return
        try:
            with socket.socket(fileno=os.dup(driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
        except (OSError, self._engine.dialect.loaded_dbapi.Error) as error:
            _log.debug("the connection has ended by itself: %s", type(error).__name__)

    def close(self) -> None:
        self._left_at = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _connect(self, dialect: Any, record: Any, arguments: Any, named: Any) -> Any:
        """As it would connect by itself, and known to `cut` before anything is asked."""
        self._driver = dialect.connect(*arguments, **named)
        return self._driver

    @contextmanager
    def _answering(self) -> Iterator[threading.Timer]:
        timer = threading.Timer(ANSWER_WITHIN_S, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        with Source(self._engine, str(self._server), self._server.explained).explaining():
            yield

    def _enter(self, connection: Connection, timer: threading.Timer) -> None:
        """Make the schema, or bring it up to this version. Raises LedgerError where it is another log's."""
        if (encoding := connection.scalar(text("SHOW server_encoding"))) not in ENCODINGS:
            raise LedgerError(
                f"{self._server}: its encoding is {encoding}, which does not hold every character; make another "
                "database: createdb -E UTF8 -T template0 -O USER NAME"
            )
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": self._schema})
        if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": self._schema}) is None:
            user, may_make = connection.execute(_MAY_MAKE).one()
            if not may_make:
                raise LedgerError(
                    f"{self._server}: {user} may make no schema there; have an administrator do it: "
                    f'CREATE SCHEMA {self._schema} AUTHORIZATION "{user}"'
                )
            connection.exec_driver_sql(f"CREATE SCHEMA {self._schema}")
        is_new = connection.scalar(text("SELECT to_regclass('meta')")) is None
        if not is_new:
            self._check_key(connection.scalar(_LOG_KEY))

        def upgrading() -> None:
            """It takes as long as the ledger is large."""
            timer.cancel()
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")

        self.lacking = lacking(connection, self._settings, self._node)
        make_or_upgrade(connection, f"{self._server}, schema {self._schema}", upgrading)
        if is_new:
            with self._spool.reading() as own:
                begins = tree_from(facts(own))
            entries = {ORIGIN: self._key.name, LOG_KEY: str(self._key), TREE_FROM: str(begins)}
            for name, value in entries.items():
                connection.execute(upsert_meta(name, value))
            _log.info("%s: the ledger of %s begins there as %s", self._server, self._key.name, self._schema)

    def _add(self, connection: Connection) -> Piece:
        # The row is locked, so that one transaction follows the other, of whichever process.
        self._check_key(connection.scalar(_LOG_KEY.with_for_update()))
        place = place_of(connection)
        if place != self._left_at:
            try:
                check_copy(connection, self._spool, place)
            except DiffersError as error:
                raise LedgerError(
                    f"{self._server}, schema {self._schema}: {error}. Nothing is shipped: find out which of the two is "
                    "right; evidence is kept here meanwhile"
                ) from error
        piece = piece_after(self._spool, place)
        if key_in_spool(self._settings, self._node) != self._key:
            raise LedgerError(f"{self._spool.name}: it was set aside, and another one was begun; that is shipped next")
        _copy(connection, "steps (id, node, call_id, kind, at, details, leaf)", piece.steps)
        _copy(connection, "hashes (place, hash)", piece.hashes)
        _copy(connection, "sought (token, step)", piece.sought)
        told = {NODE: self._node, NODE_STEPS: str(piece.place.steps + piece.behind), COSIGNED: self._cosigned_note()}
        told |= {CHECKPOINT: piece.checkpoint} if piece.checkpoint else {}
        for name, value in told.items():
            if value:
                connection.execute(upsert_meta(name, value))
        connection.execute(_HEARD)
        return piece

    def _check_key(self, held: str | None) -> None:
        if held != str(self._key):
            raise LedgerError(
                f"{self._server}: another node ships as {self._key.name}, with the key {held}; give this one another "
                "name (node in idtone.yaml), or another ledger.origin"
            )

    def _cosigned_note(self) -> str:
        """Empty where no witness has cosigned."""
        try:
            return self._settings.cosigned().read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            _log.debug("%s: %s", self._settings.cosigned(), type(error).__name__)  # whoever needs it there has told
            return ""


def _copy(connection: Connection, table: str, rows: Any) -> None:
    if not rows:
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


_MAY_MAKE: Final = text("SELECT current_user, has_database_privilege(current_database(), 'CREATE')")
_LOG_KEY: Final = select(meta.c.value).where(meta.c.key == LOG_KEY)
_HEARD: Final = text(
    "INSERT INTO meta SELECT CAST(:key AS text), CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) "
    "AS text) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
).bindparams(key=HEARD_AT)
