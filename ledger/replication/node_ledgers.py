"""Ledgers at one address, which are either a node's own file or all nodes' replicas in PostgreSQL."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby
from pathlib import Path
from types import MappingProxyType
from typing import Self

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.core.numbers import Number
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Note, VerifierKey

from ..evidence.call_record import Record
from ..keys.day_keys import DayKeys
from ..keys.key_file import read_key
from ..keys.sealing import LedgerKey
from ..store.ledger_reader import LedgerReader, newest
from ..store.meta import CHECKPOINT, COSIGNED, HEARD_AT, LOG_KEY, NODE, NODE_STEPS, ORIGIN, facts
from ..store.postgresql import Server, schema_of
from ..store.step_rows import moment
from ..tree.checkpoints import Checkpoint
from .ask_servers import WITHIN_S, ask_all
from .node_reports import NodeReportsReader
from .replica_batch import replica_position


@dataclass(frozen=True, slots=True)
class ReplicaProgress:
    """Progress of a ledger's replica.

    When the node last reported (`heard`), the replica lacked `lag` steps. `signed` is the signed head's number of
    leaves, or None if there is no signed head yet.
    """

    steps: int
    leaves: int
    signed: int | None
    lag: int
    heard: datetime


@dataclass(frozen=True)
class NodeLedger:
    """One node's ledger, in its own file or as a replica.

    `key` is the verifier key that the node wrote into PostgreSQL, or None for a node's own file.
    """

    node: str
    origin: str
    reader: LedgerReader
    key: VerifierKey | None = None
    has_keys: bool = False
    """True if this machine has the keys to the ledger's numbers."""
    cosigned: Note | None = None
    progress: ReplicaProgress | None = None


@dataclass
class Ledgers:
    """The ledgers at one address, either a node's own file or replicas in PostgreSQL.

    Create it with `of_file` or `in_postgresql`. `unreadable` lists the ledgers that cannot be read, with the reasons.
    `doubts` lists nodes whose identity is doubtful.
    """

    nodes: list[NodeLedger]
    is_shared: bool
    unreadable: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @classmethod
    def of_file(cls, url: str, node: str, origin: str, days: DayKeys | None) -> Self:
        """Open a node's ledger from its own file.

        Raises LedgerError if the ledger cannot be read.
        """
        return cls([NodeLedger(node, origin, LedgerReader.open(url, days), has_keys=days is not None)], False)

    @classmethod
    def in_postgresql(cls, servers: Sequence[Server], days: Mapping[str, DayKeys], node: str | None = None) -> Self:
        """Open the replicas of all nodes, or of one node.

        `days` contains this machine's day keys, by node. Raises LedgerError if no server answers, and UsageError if
        there is no such node.
        """
        found = cls([], True)
        answers, silent = ask_all(servers, lambda server: server.schemas(WITHIN_S))
        for server, schemas in answers:
            for schema in schemas:
                try:
                    ledger = ledger_in(server, schema, node, days)
                except LedgerError as error:
                    found.unreadable.append(str(error))
                    continue
                if ledger:
                    found.nodes.append(ledger)
        if not answers:
            raise silent[0]
        found.unreadable += map(str, silent)
        if not found.nodes and not found.unreadable:
            if node:
                raise _unknown(servers, node)
            raise UsageError("{server}: there is no ledger of any node yet", server=_names(servers))
        found.nodes = sorted(_furthest(found.nodes), key=lambda ledger: (ledger.node, ledger.origin))
        found.doubts += _doubts(found.nodes)
        return found

    def records(
        self,
        call_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        until: datetime | None = None,
        keep: Callable[[Record], bool] = lambda record: True,
    ) -> list[Record]:
        """Complete calls, from all ledgers, with a step at or after `since` and before `until`, newest last.

        `keep` filters the records. With `limit`, only the newest calls are returned.
        """

        def latest(record: Record) -> datetime:
            return max(step.at for step in record.steps if until is None or step.at < until)

        each = (ledger.reader.each_record(call_id, since, until) for ledger in self.nodes)
        return newest(filter(keep, heapq.merge(*each, key=latest, reverse=True)), limit)

    def find(self, number: Number, start: datetime | None = None, end: datetime | None = None) -> list[Record]:
        """A telephone number's calls, from the ledgers whose keys this machine has.

        Raises LedgerError if the machine has no keys.
        """
        return self._found(lambda reader: reader.find(number, start, end))

    def find_sip_call_id(
        self, sip_call_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[Record]:
        """Calls with a SIP Call-ID, from the ledgers whose keys this machine has.

        Raises LedgerError if the machine has no keys.
        """
        return self._found(lambda reader: reader.find_sip_call_id(sip_call_id, start, end))

    def _found(self, find: Callable[[LedgerReader], list[Record]]) -> list[Record]:
        searched = [ledger for ledger in self.nodes if ledger.has_keys] or self.nodes
        return sorted(
            (record for ledger in searched for record in find(ledger.reader)), key=lambda record: record.steps[0].at
        )

    def ledger_of_call(self, call_id: str) -> NodeLedger | None:
        """The ledger that contains a call; None if no ledger does.

        Raises UsageError if several ledgers contain the call.
        """
        knowing = [ledger for ledger in self.nodes if ledger.reader.knows(call_id)]
        if len(knowing) > 1:
            names = " and ".join(ledger.node for ledger in knowing)
            raise UsageError(
                "{names} each have a call {call_id}; say by --node which is meant", names=names, call_id=call_id
            )
        return knowing[0] if knowing else None


def _furthest(replicas: Iterable[NodeLedger]) -> Iterable[NodeLedger]:
    """For each ledger, the replica with the most steps.

    If a node moved to another server, its old replica remains on the first server until someone drops it.
    """
    by_ledger: dict[tuple[str, str], NodeLedger] = {}
    for each in sorted(replicas, key=_come):
        by_ledger[each.origin, str(each.key)] = each
    return by_ledger.values()


def _come(replica: NodeLedger) -> tuple[int, datetime]:
    """The replica's number of steps and the time of the last report."""
    assert replica.progress is not None, "each ledger in PostgreSQL is a replica"
    return replica.progress.steps, replica.progress.heard


def _doubts(ledgers: Iterable[NodeLedger]) -> Iterator[str]:
    """Doubts about nodes whose ledgers have different keys.

    A ledger that replaced a damaged one has the same key under another name, so it raises no doubt.
    """
    for node, group in groupby(ledgers, key=lambda ledger: ledger.node):
        found = list(group)
        if len({ledger.key.public for ledger in found if ledger.key}) > 1:
            names = " and ".join(ledger.origin for ledger in found)
            yield (
                f"{names} each say that they are of the node {node}, and have different keys: compare "
                "what `idtone-evidence log replicas --json` says with `idtone-evidence log key` on the node"
            )


def ledger_in(
    server: Server, schema: str, wanted: str | None = None, days: Mapping[str, DayKeys] = MappingProxyType({})
) -> NodeLedger | None:
    """The ledger in one schema; None if it belongs to a node other than `wanted`.

    Raises LedgerError.
    """
    database = server.database(schema, f"{server}, schema {schema}")
    with database.reading() as connection:
        held = facts(connection)
        if wanted is not None and held.get(NODE) != wanted:
            return None
        if schema != schema_of(held.get(ORIGIN, "")):
            raise LedgerError(
                "{name}: it says that it is the ledger {origin}, whose schema is another",
                name=database.name,
                origin=held.get(ORIGIN),
            )
        position = replica_position(connection)
    keys = days.get(held.get(NODE, ""))
    reader = LedgerReader(database, keys, held.get(NODE))
    try:
        signed = Note.parse(held[CHECKPOINT].encode()) if CHECKPOINT in held else None
        cosigned = Note.parse(held[COSIGNED].encode()) if COSIGNED in held else None
        progress = ReplicaProgress(
            position.steps,
            position.leaves,
            Checkpoint.parse(signed.text).size if signed else None,
            int(held[NODE_STEPS]) - position.steps,
            moment(int(held[HEARD_AT])),
        )
        key = VerifierKey.parse(held[LOG_KEY])
        if cosigned and Checkpoint.parse(cosigned.text).size > position.leaves:
            cosigned = None  # the replica has not come so far
        return NodeLedger(held[NODE], held[ORIGIN], reader, key, keys is not None, cosigned, progress)
    except (KeyError, ValueError, OverflowError, ProofError) as error:
        raise LedgerError(
            "{name}: what stands there of its node is damaged: {error}", name=database.name, error=error
        ) from error


def replica_of(servers: Sequence[Server], node: str) -> NodeLedger:
    """The replica to which a node currently writes.

    Raises UsageError if there is none. Raises LedgerError.
    """
    answers, silent = ask_all(servers, lambda server: _replicas_in(server, node))
    if found := list(chain.from_iterable(replicas for _, replicas in answers)):
        return max(found, key=_come)
    raise silent[0] if silent else _unknown(servers, node)


def _replicas_in(server: Server, node: str) -> list[NodeLedger]:
    """The replica to which this node writes, or last wrote, on one server; empty if there is none.

    Raises LedgerError.
    """
    with NodeReportsReader(server) as reader:
        origins = [each.origin for each in reader.read().reports if each.node == node]
    for origin in origins:
        if found := ledger_in(server, schema_of(origin), node):
            return [found]
    return []


def _unknown(servers: Sequence[Server], node: str) -> UsageError:
    return UsageError("{server}: there is no ledger of a node {node} yet", server=_names(servers), node=node)


def _names(servers: Sequence[Server]) -> str:
    return ", ".join(map(str, servers))


def day_keys_beside(key_file: Path) -> DayKeys:
    """The day keys next to a copy of a node's key file.

    Raises LedgerError if the keys cannot be used.
    """
    return DayKeys(LedgerSettings(key_file=key_file).day_keys(), LedgerKey(read_key(key_file)))


def nodes_without_keys(ledgers: Sequence[NodeLedger]) -> list[str]:
    """Names of the nodes whose keys this machine lacks."""
    return sorted({ledger.node for ledger in ledgers if not ledger.has_keys})
