"""Nodes in tests: each with a ledger of its own, and a replica in the PostgreSQL that they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idtone.ledger.evidence.steps import Step
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.store.database import Database
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.tree.notes import VerifierKey
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.settings import LedgerSettings
from tests.lab.postgresql import PostgreSQL, changed, database_of

from .between import Between


@dataclass(frozen=True)
class Node:
    """`settings` are such as an operator has, with keys and ledger in a folder of the node's own."""

    name: str
    settings: LedgerSettings

    @classmethod
    def at(cls, folder: Path, name: str, server: Server) -> Node:
        """Made, with an empty ledger."""
        node = cls(
            name,
            LedgerSettings(
                url=server.url,
                password=server.password,
                spool=folder / name / "ledger.sqlite3",
                key_file=folder / name / "ledger.key",
            ),
        )
        node.write()
        return node

    def write(self, *calls: Iterable[Step]) -> None:
        with LedgerWriter.open(self.settings.own(), self.name, KeyRing.of(self.settings, self.name)) as writer:
            futures = [writer.append(step) for call in calls for step in call]
        for future in futures:
            future.result(0)

    @property
    def key(self) -> VerifierKey:
        return own_key(self.settings, self.name)

    @property
    def ledger(self) -> Database:
        return Database.in_file(self.settings.own())

    def connection(self) -> ReplicaConnection:
        return ReplicaConnection(self.settings, self.name)

    def replicate(self) -> int:
        """All there is, by a new connection; how many steps."""
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
        """Run it as an administrator; `{}` in it is the schema."""
        database = database_of(self.settings.url)
        return postgresql.execute(query.replace("{}", schema_of(self.key.name)), database)

    def own(self) -> LedgerReader:
        return LedgerReader.open(self.settings.own())

    def copy(self) -> LedgerReader:
        server = Server.of(self.settings)
        return LedgerReader(server.database(schema_of(self.key.name), self.name))


def through(node: Node, between: Between) -> Node:
    """The same node, which reaches PostgreSQL by what lies between."""
    url = changed(node.settings.url, port=between.port)
    return Node(node.name, node.settings.model_copy(update={"url": url}))


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that are copied, and the signed head."""
    queries = {
        "steps": "SELECT id, node, call_id, kind, at, details, leaf FROM steps ORDER BY id",
        "hashes": "SELECT place, hash FROM hashes ORDER BY place",
        "sought": "SELECT token, step FROM sought ORDER BY token, step",
        "meta": "SELECT key, value FROM meta WHERE key IN ('schema_version', 'checkpoint') ORDER BY key",
    }
    with database.reading() as connection:
        return {name: [tuple(row) for row in connection.execute(query).fetchall()] for name, query in queries.items()}


def same(node: Node) -> bool:
    """What PostgreSQL has of a node is what the node has, row by row."""
    server = Server.of(node.settings)
    return rows(node.ledger) == rows(server.database(schema_of(node.key.name), node.name))
