"""The ledger of this node is copied into PostgreSQL, where those of all nodes are read together (docs/adr/0015).

Calls know nothing of it: their evidence is durable in the node's own file. Each transaction reads in PostgreSQL how far
the copy has come and adds what follows, so that each step arrives once, whoever dies when.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

from sqlalchemy import Connection, event, func, select, text

from idtone.errors import LedgerError
from idtone.settings import LedgerSettings

from .custody import own_key
from .log import facts, tree_from
from .postgresql import Server, schema_of
from .schema import make_or_upgrade
from .source import Source
from .spool import Piece, Place, check_copy, piece_after, place_of
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
    steps,
    upsert_meta,
)  # fmt: skip
from .tree.notes import VerifierKey

LOOK_EVERY_S: Final = 1.0
HEARD_EVERY_S: Final = 10.0
"""How often PostgreSQL is told that the node is there, while nothing happens on it."""
ANSWER_WITHIN_S: Final = 45.0
"""After this the connection is given up: longer than PostgreSQL itself waits for anything."""
BACK_OFF_S: Final = 30.0
CLOSE_WITHIN_S: Final = 3.0
"""How long a stop waits for what was written last to be shipped."""
TELL_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the copy is: `behind` steps are not there yet, None where it is not known; `trouble` is why not."""

    behind: int | None = None
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            waiting = "" if self.behind is None else f", {self.behind:,} steps wait"
            return f"PostgreSQL does not get the evidence{waiting}"
        return "PostgreSQL has it all" if self.behind == 0 else f"PostgreSQL gets {self.behind or 0:,} steps"


class Link:
    """A connection to the copy of one ledger, for one thread; it compares before it ships, and never waits for ever."""

    def __init__(
        self, server: Server, spool: Source, node: str, key: Callable[[], VerifierKey], cosigned: Path
    ) -> None:
        """`key` is that of the log in the spool, which is another one after a damaged ledger was set aside."""
        self._server = server
        self._spool = spool
        self._node = node
        self._key_now = key
        self._cosigned = cosigned
        self._driver: Any = None
        self._turn_to(key())
        self._connection: Connection | None = None
        self._left_at: Place | None = None
        """Where this connection left the copy: nothing needs to be compared where it is still there."""

    def _turn_to(self, key: VerifierKey) -> None:
        self._key = key
        self._schema = schema_of(key.name)
        self._engine = self._server.writing_engine(self._schema)
        event.listen(self._engine, "do_connect", self._connect)

    def ship(self) -> Piece:
        """One transaction; what it has shipped. Raises LedgerError; then the next one begins with a new connection."""
        if (key := self._key_now()) != self._key:
            self.close()
            self._turn_to(key)
        try:
            with self._answering(), self._explaining():
                if self._connection is None:
                    self._connection = self._engine.connect()
                    with self._connection.begin():
                        self._enter(self._connection)
                with self._connection.begin():
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
    def _answering(self) -> Iterator[None]:
        timer = threading.Timer(ANSWER_WITHIN_S, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        with Source(self._engine, str(self._server), self._server.explained).explaining():
            yield

    def _enter(self, connection: Connection) -> None:
        """Make the schema, or bring it up to this version. Raises LedgerError where it is another log's."""
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": self._schema})
        if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": self._schema}) is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {self._schema}")
        is_new = connection.scalar(text("SELECT to_regclass('meta')")) is None
        make_or_upgrade(connection, f"{self._server}, schema {self._schema}")
        if is_new:
            with self._spool.reading() as own:
                begins = tree_from(facts(own))
            entries = {ORIGIN: self._key.name, LOG_KEY: str(self._key), TREE_FROM: str(begins)}
            for name, value in entries.items():
                connection.execute(upsert_meta(name, value))
            _log.info("%s: the ledger of %s begins there as %s", self._server, self._key.name, self._schema)

    def _add(self, connection: Connection) -> Piece:
        # The row is locked, so that one transaction follows the other, of whichever process.
        held = connection.scalar(select(meta.c.value).where(meta.c.key == LOG_KEY).with_for_update())
        if held != str(self._key):
            raise LedgerError(
                f"{self._server}: another node ships as {self._key.name}, with the key {held}; give this one another "
                "name (node in idtone.yaml), or another ledger.origin"
            )
        place = place_of(connection)
        if place != self._left_at:
            try:
                check_copy(connection, self._spool, place)
            except LedgerError as error:
                raise LedgerError(
                    f"{self._server}, schema {self._schema}: {error}. Nothing is shipped: find out which of the two is "
                    "right; evidence is kept here meanwhile"
                ) from error
        piece = piece_after(self._spool, place)
        if self._key_now() != self._key:
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

    def _cosigned_note(self) -> str:
        """Empty where no witness has cosigned."""
        try:
            return self._cosigned.read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            _log.debug("%s: %s", self._cosigned, type(error).__name__)  # whoever needs it there has told
            return ""


def _copy(connection: Connection, table: str, rows: Any) -> None:
    if not rows:
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


_HEARD: Final = text(
    f"INSERT INTO meta SELECT '{HEARD_AT}', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class Shipping:
    """Ships in a thread of its own, from `begin` to `close`."""

    def __init__(self, link: Link, spool: Source) -> None:
        """Use `of`."""
        self._link = link
        self._spool = spool
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-shipping", daemon=True)
        self._arrived: int | None = None
        self._failures = 0
        self.standing = Standing()
        """How it is; from any thread."""

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> Self:
        """Raises LedgerError where the settings cannot be used. PostgreSQL need not be there."""
        spool = Source.in_file(settings.own())
        link = Link(Server.of(settings), spool, node, partial(own_key, settings, node), settings.cosigned())
        return cls(link, spool)

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ship what was written last, as far as that goes within a moment."""
        self._over.set()
        self._thread.join(CLOSE_WITHIN_S)
        if self._thread.is_alive():
            self._link.cut()
            self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._over.wait(wait_s):
            try:
                self._ship_on()
            except Exception as error:
                if self._over.is_set():
                    _log.info("what is not shipped yet is shipped from the next start on")
                else:
                    self._tell(error)
                    self._failures += 1
            # Not all nodes at once, when PostgreSQL is back.
            wait_s = min(BACK_OFF_S, LOOK_EVERY_S * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)  # noqa: S311

    def _ship_on(self) -> None:
        """Until `close`, or something goes wrong."""
        heard_at_s, told_at_s, shipped, tells = -HEARD_EVERY_S, monotonic(), 0, True
        while True:
            last = self._over.is_set()
            if self._newest() != self._arrived or tells or monotonic() - heard_at_s >= HEARD_EVERY_S:
                piece = self._link.ship()
                shipped += len(piece.steps)
                if tells or (piece.behind and monotonic() - told_at_s >= TELL_EVERY_S):
                    _log.info("%d steps are shipped to PostgreSQL, %d to go", shipped, piece.behind)
                    told_at_s, tells = monotonic(), False
                heard_at_s, self._arrived, self._failures = monotonic(), piece.place.steps, 0
                self.standing = Standing(piece.behind)
                if piece.behind:
                    continue
            if last:
                self._link.close()
                return
            self._over.wait(LOOK_EVERY_S)

    def _newest(self) -> int:
        with self._spool.reading() as connection:
            return int(connection.scalar(select(func.coalesce(func.max(steps.c.id), 0))) or 0)

    def _tell(self, error: Exception) -> None:
        """Once for each trouble, and not at every try."""
        known = isinstance(error, LedgerError)
        trouble = str(error) if known else f"{type(error).__name__}; report this as a fault of idtone"
        if trouble != self.standing.trouble:
            _log.error("evidence is not shipped, and kept here: %s", trouble, exc_info=None if known else error)
        behind = None
        if self._arrived is not None:
            try:
                behind = self._newest() - self._arrived
            except LedgerError as also:
                _log.debug("%s", also)  # the writer tells
        self.standing = Standing(behind, trouble)
