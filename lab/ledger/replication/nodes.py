"""Nodes in tests: each with a ledger, and a replica in a common PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import VerifierKey
from idtone.ledger.evidence.steps import Step
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.store.database import Database
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger_copies import copy_ledger
from lab.postgresql import PostgreSQL, change_url, database_of

from ..sample_evidence import PLAY, REFUSE, decided, heard_call
from .faulty_network import FaultyNetwork

NAMES = ["osaka", "sendai", "tokyo"]
EMPTIED = "TRUNCATE {}.steps, {}.hashes, {}.sought, {}.in_progress"


@dataclass(frozen=True)
class Node:
    """A node. `settings` are as an operator's, with keys and ledger in the node's own folder."""

    name: str
    settings: LedgerSettings

    @classmethod
    def of(cls, folder: Path, name: str, url: str, password: str | None) -> Node:
        own = folder / name
        settings = LedgerSettings(url=url, password=password, spool=own / "ledger.sqlite3", key_file=own / "ledger.key")
        return cls(name, settings)

    @classmethod
    def at(cls, folder: Path, name: str, server: Server) -> Node:
        """Create a node with an empty ledger."""
        node = cls.of(folder, name, server.url, server.password)
        node.write()
        return node

    def changed(self, **settings: object) -> Node:
        """The same node with another connection to PostgreSQL, or with another ledger."""
        return Node(self.name, self.settings.model_copy(update=settings))

    def key_ring(self) -> KeyRing:
        return KeyRing.of(self.settings, self.name)

    def writer(self) -> LedgerWriter:
        return LedgerWriter.open(self.settings.own_url(), self.name, self.key_ring())

    def write(self, *calls: Iterable[Step]) -> None:
        with self.writer() as writer:
            futures = [writer.append(step) for call in calls for step in call]
        for future in futures:
            future.result(0)

    @property
    def key(self) -> VerifierKey:
        return own_key(self.settings, self.name)

    @property
    def server(self) -> Server:
        return Server.of(self.settings)

    @property
    def ledger(self) -> Database:
        return Database.in_file(self.settings.own_url())

    def connection(self) -> ReplicaConnection:
        return ReplicaConnection(self.settings, self.name)

    def replicate(self) -> int:
        """Replicate all steps over a new connection, and return their number."""
        connection, replicated = self.connection(), 0
        try:
            while True:
                batch = connection.replicate()
                replicated += len(batch.steps)
                if not batch.behind:
                    return replicated
        finally:
            connection.close()

    def in_copy(self, postgresql: PostgreSQL, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query in the replica, run as an administrator. The schema replaces `{}` in the query."""
        return postgresql.execute(query.replace("{}", schema_of(self.key.name)), database_of(self.settings.url))

    def own(self) -> LedgerReader:
        return LedgerReader.open(self.settings.own_url())

    @property
    def replica(self) -> Database:
        return self.server.database(schema_of(self.key.name), self.name)

    def copy(self) -> LedgerReader:
        return LedgerReader(self.replica)

    def through(self, between: FaultyNetwork) -> Node:
        """The same node, connected through the proxy."""
        return self.changed(url=change_url(self.settings.url, port=between.port))


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Table → all replicated rows. `meta` has only the schema version and the signed checkpoint."""
    queries = {
        "steps": "SELECT id, node, call_id, kind, at, details, leaf FROM steps ORDER BY id",
        "hashes": "SELECT place, hash FROM hashes ORDER BY place",
        "sought": "SELECT token, step FROM sought ORDER BY token, step",
        "in_progress": "SELECT call_id FROM in_progress ORDER BY call_id",
        "meta": "SELECT key, value FROM meta WHERE key IN ('schema_version', 'checkpoint') ORDER BY key",
    }
    with database.reading() as connection:
        return {name: [tuple(row) for row in connection.execute(query).fetchall()] for name, query in queries.items()}


def is_replicated(node: Node) -> bool:
    """True if PostgreSQL has exactly the node's own rows."""
    return rows(node.ledger) == rows(node.replica)


@pytest.fixture
def node(tmp_path: Path, server: Server) -> Node:
    return Node.at(tmp_path, "pbx-1", server)


@pytest.fixture(scope="module")
def made_nodes(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL) -> Iterator[tuple[Path, str]]:
    """Folder of three nodes, and the name of their database.

    Each node has one call with a sound, and some without.
    """
    folder = tmp_path_factory.mktemp("nodes")
    with postgresql.database() as url:
        for number, name in enumerate(NAMES):
            node = Node.at(folder, name, Server.named(url, postgresql.password))
            node.write(
                heard_call(f"{name}-heard", number * 1000),
                [decided(REFUSE, f"{name}-refused", number * 100_000)],
                [decided(PLAY, f"{name}-going-on", number)],
            )
            node.replicate()
        yield folder, database_of(url)


def _by_name(folder: Path, url: str, password: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    """Name → node, for three nodes. Makes tokyo the node of this process."""
    nodes = {name: Node.of(folder, name, url, password) for name in NAMES}
    monkeypatch.setenv("IDTONE_NODE", "tokyo")
    for name in ("url", "password", "spool", "key_file"):
        monkeypatch.setenv(f"IDTONE_LEDGER_{name.upper()}", str(getattr(nodes["tokyo"].settings, name)))
    return nodes


@pytest.fixture
def untouched(made_nodes: tuple[Path, str], postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    """Name → node, for three nodes that tests only read."""
    folder, database = made_nodes
    return _by_name(folder, postgresql.url(database), postgresql.password, monkeypatch)


@pytest.fixture
def nodes(
    made_nodes: tuple[Path, str], tmp_path: Path, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Node]]:
    """Name → node, for three nodes of this test alone."""
    folder, database = made_nodes
    copy_ledger(folder, tmp_path)
    clone = f"{database}_{secrets.token_hex(3)}"
    postgresql.execute(f"CREATE DATABASE {clone} TEMPLATE {database}")
    yield _by_name(tmp_path, postgresql.url(clone), postgresql.password, monkeypatch)
    postgresql.execute(f"DROP DATABASE {clone} WITH (FORCE)")
