"""All nodes' reports about themselves, read from the PostgreSQL servers that they share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any, Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import LedgerError
from idtone.core.translation import Message

from ..store.database import literals, scalar
from ..store.meta import HEARD_AT, LOG_KEY, NODE, ORIGIN, STATE
from ..store.postgresql import PostgreSQLConnection, Server, schema_of
from ..store.step_rows import moment
from .ask_servers import WITHIN_S, await_all, not_answered

AT_ONCE: Final = 100
"""Maximum number of schemas that are read in one statement."""
AGAIN_S: Final = 30.0
"""Time in seconds for which one of several servers is skipped after a failure.

The others are still read every second.
"""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node's last report about itself.

    `heard` is the time of the report according to PostgreSQL's clock, or None if there is no report. `state` is the
    object from `service.node_state`, unchecked, or None if the node has not reported one.
    """

    node: str
    origin: str
    key: str
    heard: datetime | None
    state: object | None


@dataclass(frozen=True, slots=True)
class NodeReports:
    """All nodes' last reports about themselves, from PostgreSQL.

    `now` is PostgreSQL's current time. `unreadable` lists schemas and servers that cannot be read, with the reasons.
    `silent` lists the servers among them.
    """

    now: datetime
    reports: tuple[NodeReport, ...]
    unreadable: tuple[str, ...]
    silent: tuple[str, ...] = ()


class NodeReportsReader:
    """Reads the nodes' reports from PostgreSQL servers over connections that it keeps open.

    For one thread at a time. Raises LedgerError if psycopg is not installed.
    """

    def __init__(self, *servers: Server) -> None:
        """Prepare the readers. Raises LedgerError if the library is missing."""
        self._readers = [_ServerReader(server) for server in servers]

    def read(self) -> NodeReports:
        """Read the nodes' reports from all servers.

        A server that does not answer delays one call by several seconds. Later calls query it in the background. Raises
        LedgerError if no server can be read, in which case the next call reconnects.
        """
        waited = [(each, begun) for each in self._readers if (begun := each.begin()) is not None]
        await_all(begun for _, begun in waited)
        read = [reports for each, begun in waited if (reports := each.end(begun)) is not None]
        errors = [each.trouble for each in self._readers if each.trouble is not None]
        if not read:
            for each in self._readers:
                each.forgive()
            raise errors[0]
        return _together(read, tuple(map(str, errors)))

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> NodeReportsReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _together(read: Iterable[NodeReports], silent: tuple[str, ...]) -> NodeReports:
    """Combine several servers' reports, with all times converted to the first server's clock."""
    first, *others = read
    reports, unreadable = [*first.reports], [*first.unreadable]
    for each in others:
        ahead = each.now - first.now
        reports += (replace(report, heard=report.heard and report.heard - ahead) for report in each.reports)
        unreadable += each.unreadable
    return NodeReports(first.now, tuple(_newest(reports)), (*unreadable, *silent), silent)


class _ServerReader:
    """Reads a single server in a background thread.

    For one thread at a time. Raises LedgerError if psycopg is not installed.
    """

    def __init__(self, server: Server) -> None:
        """Prepare the reader. Raises LedgerError if the library is missing."""
        self._server = server
        self._database = server.database("pg_catalog", str(server), WITHIN_S)
        self._connection: PostgreSQLConnection | None = None
        self._reading_now: Future[NodeReports] | None = None
        self._again_s = 0.0
        self.trouble: LedgerError | None = None
        """The error from the last attempt to read; None if it succeeded."""

    def begin(self) -> Future[NodeReports] | None:
        """Begin to read, and return the future if its answer is worth waiting for.

        Returns None while the last attempt is still running, for some time after a failure, and for the first attempt
        after that.
        """
        if self._reading_now is not None:
            if not self._reading_now.done():
                return None
            self.end(self._reading_now)  # it came too late to be shown, and says that the server answers again
        if self.trouble is not None and monotonic() < self._again_s:
            return None
        self._reading_now = in_daemon(self._read, "reading what nodes have reported")
        return None if self.trouble else self._reading_now

    def end(self, begun: Future[NodeReports]) -> NodeReports | None:
        """Return the reports, or None if the server could not be read."""
        if not begun.done():
            self.trouble = not_answered(self._server)
            return None
        self._reading_now = None
        try:
            reports = begun.result()
        except LedgerError as error:
            self.trouble, self._again_s = error, monotonic() + AGAIN_S
            return None
        self.trouble = None
        return reports

    def forgive(self) -> None:
        """Allow an immediate new attempt after a failure, unless an answer is still awaited."""
        if self._reading_now is None:
            self.trouble = None

    def close(self) -> None:
        if self._reading_now is None:
            self._disconnect()
        else:
            self._reading_now.add_done_callback(lambda _: self._disconnect())

    def _read(self) -> NodeReports:
        """Read the server's reports. After a LedgerError, the next call reconnects."""
        try:
            with self._database.explaining(), self._reading() as connection:
                schemas = connection.execute(_SCHEMAS).fetchall()
                readable = [name for name, may_read in schemas if may_read]
                held: dict[str, dict[str, str]] = {name: {} for name in readable}
                for first in range(0, len(readable), AT_ONCE):
                    query = " UNION ALL ".join(map(_facts, readable[first : first + AT_ONCE]))
                    for name, key, value in connection.execute(query).fetchall():
                        held[name][key] = value
                now = moment(scalar(connection, _NOW))
        except BaseException:
            self._disconnect()
            raise
        hidden = [
            Message(
                "{server}, schema {schema}: let its user have USAGE and SELECT there", server=self._server, schema=name
            )
            for name, may_read in schemas
            if not may_read
        ]
        reports, damaged = _reports(held, self._server)
        return NodeReports(now, tuple(reports), (*hidden, *damaged))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _reading(self) -> Iterator[PostgreSQLConnection]:
        if self._connection is None:
            self._connection = self._server.connect()
        self._connection.execute(self._database.begin)
        yield self._connection
        self._connection.driver.rollback()


def _reports(held: Mapping[str, Mapping[str, str]], server: Server) -> tuple[list[NodeReport], list[Message]]:
    """Reports from each schema's facts, and the faults found in damaged schemas."""
    found: list[NodeReport] = []
    damaged: list[Message] = []
    for schema, facts in held.items():
        if not facts.keys() & {NODE, STATE}:  # it has just been made
            continue
        if schema != schema_of(facts.get(ORIGIN, "")):
            damaged.append(
                Message(
                    "{name}: it says that it is the ledger {origin}, whose schema is another",
                    name=f"{server}, schema {schema}",
                    origin=facts.get(ORIGIN),
                )
            )
            continue
        heard, state = _heard(facts)
        found.append(NodeReport(facts.get(NODE, facts[ORIGIN]), facts[ORIGIN], facts.get(LOG_KEY, ""), heard, state))
    return _newest(found), damaged


def _heard(facts: Mapping[str, str]) -> tuple[datetime | None, object | None]:
    """The time at which the node last reported, and its state."""
    try:
        reported: Any = json.loads(facts[STATE])
        return moment(int(reported["heard"])), reported["state"]
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        pass  # an older idtone reports no state, or the row is damaged, which the missing state shows
    try:
        return moment(int(facts[HEARD_AT])), None
    except (LookupError, ValueError, OverflowError):
        return None, None


def _newest(reports: Iterable[NodeReport]) -> list[NodeReport]:
    """The last report for each node and key, sorted by node. A ledger that replaced a damaged one has the same key."""
    by_node: dict[tuple[str, str], NodeReport] = {}
    for each in sorted(reports, key=lambda report: report.heard.timestamp() if report.heard else 0):
        by_node[each.node, each.key.split("+", 2)[-1]] = each
    return sorted(by_node.values(), key=lambda report: (report.node, report.origin))


def _facts(schema: str) -> str:
    quoted = '"' + schema.replace('"', '""') + '"'
    name = literals([schema])
    return f"SELECT {name} AS name, key, value FROM {quoted}.meta WHERE key IN ({_KEYS})"  # noqa: S608 - names of its own catalogue


_KEYS: Final = literals([NODE, ORIGIN, LOG_KEY, HEARD_AT, STATE])
_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
_SCHEMAS: Final = (
    "SELECT nspname, has_schema_privilege(pg_namespace.oid, 'USAGE') AND has_table_privilege(pg_class.oid, 'SELECT') "
    "FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
    "WHERE relname = 'meta' AND relkind = 'r' AND starts_with(nspname, 'idtone_') ORDER BY nspname"
)
