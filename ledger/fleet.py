"""The ledgers that one address names: a node's own file, or in PostgreSQL those of all nodes that ship there."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from idtone.errors import LedgerError, ProofError, UsageError
from idtone.numbers import Number
from idtone.settings import LedgerSettings

from .custody import own_key
from .day_keys import DayKeys
from .key_file import read_key
from .link import lacking
from .log import facts
from .postgresql import Server, is_private, schema_of
from .reader import LedgerReader, newest
from .records import Record
from .sealing import KeyRing
from .source import Source
from .spool import place_of
from .tables import CHECKPOINT, COSIGNED, HEARD_AT, LOG_KEY, NODE, NODE_STEPS, ORIGIN, moment
from .tree.checkpoints import Checkpoint
from .tree.notes import Note, VerifierKey

ASKED_WITHIN_S: Final = 10
"""How long whoever examines this node waits for any answer of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a node's copy has come; `lag` is how many steps the node had more when it was `heard` last.

    `signed` are the leaves of the head that is signed, None where there is none yet.
    """

    steps: int
    leaves: int
    signed: int | None
    lag: int
    heard: datetime


@dataclass(frozen=True)
class NodeLedger:
    """One of them. `key` is the verifier key that the node has entered in PostgreSQL, None of a node's own file."""

    node: str
    origin: str
    reader: LedgerReader
    key: VerifierKey | None = None
    has_keys: bool = False
    """The keys of its numbers are here."""
    cosigned: Note | None = None
    progress: Progress | None = None


@dataclass
class Fleet:
    """Use `of_file` or `in_postgresql`. `unreadable` says which ledgers are there and cannot be read, and why; `doubts`
    which nodes may not be who they say.
    """

    ledgers: list[NodeLedger]
    is_shared: bool
    unreadable: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @classmethod
    def of_file(cls, url: str, node: str, origin: str, days: DayKeys | None) -> Self:
        """Raises LedgerError where it cannot be read."""
        return cls([NodeLedger(node, origin, LedgerReader.open(url, days), has_keys=days is not None)], False)

    @classmethod
    def in_postgresql(cls, server: Server, days: Mapping[str, DayKeys], node: str | None = None) -> Self:
        """Those of all nodes, or of one; `days` are keys that are here, by node.

        Raises LedgerError where PostgreSQL cannot be asked, UsageError where it has no such node.
        """
        fleet = cls([], True)
        with ExitStack() as opened:
            for schema in server.schemas():
                database = server.database(schema, f"{server}, schema {schema}")
                try:
                    ledger = _ledger_in(database, schema, days, node)
                except LedgerError as error:
                    fleet.unreadable.append(str(error))
                    continue
                if ledger:
                    opened.callback(ledger.reader.close)
                    fleet.ledgers.append(ledger)
            if not fleet.ledgers and not fleet.unreadable:
                raise UsageError(f"{server}: there is no ledger of {f'a node {node}' if node else 'any node'} yet")
            fleet.ledgers.sort(key=lambda ledger: (ledger.node, ledger.origin))
            fleet.doubts += _doubts(fleet.ledgers)
            opened.pop_all()
        return fleet

    def records(
        self,
        call_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        until: datetime | None = None,
        keep: Callable[[Record], bool] = lambda record: True,
    ) -> list[Record]:
        """As `LedgerReader.records` of all of them together."""

        def latest(record: Record) -> datetime:
            return max(step.at for step in record.steps if until is None or step.at < until)

        each = (ledger.reader.each(call_id, since, until) for ledger in self.ledgers)
        return newest(filter(keep, heapq.merge(*each, key=latest, reverse=True)), limit)

    def each(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Record]:
        """As `LedgerReader.each`, one ledger after the other."""
        for ledger in self.ledgers:
            yield from ledger.reader.each(since=since, until=until)

    def find(
        self, number: Number, now: datetime, start: datetime | None = None, end: datetime | None = None
    ) -> list[Record]:
        """As `LedgerReader.find`, in those whose keys are here (`without_keys` are not searched).

        Raises LedgerError where none are.
        """
        searched = [ledger for ledger in self.ledgers if ledger.has_keys] or self.ledgers
        found = [record for ledger in searched for record in ledger.reader.find(number, now, start, end)]
        return sorted(found, key=lambda record: record.steps[0].at)

    def with_call(self, call_id: str) -> NodeLedger | None:
        """The one that knows the call. Raises UsageError where several do."""
        knowing = [ledger for ledger in self.ledgers if ledger.reader.knows(call_id)]
        if len(knowing) > 1:
            names = " and ".join(ledger.node for ledger in knowing)
            raise UsageError(f"{names} each have a call {call_id}; say by --node which is meant")
        return knowing[0] if knowing else None

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _doubts(ledgers: Iterable[NodeLedger]) -> Iterator[str]:
    """What a node goes on with after damage is signed with the same key, by another name."""
    for node, group in groupby(ledgers, key=lambda ledger: ledger.node):
        found = list(group)
        if len({ledger.key.public for ledger in found if ledger.key}) > 1:
            names = " and ".join(ledger.origin for ledger in found)
            yield (
                f"{names} each say that they are of the node {node}, and have different keys: compare "
                "what `idtone ledger nodes --json` says with `idtone ledger key` on the node"
            )


def _ledger_in(database: Source, schema: str, days: Mapping[str, DayKeys], wanted: str | None) -> NodeLedger | None:
    """None where it is not that of the node that is wanted."""
    with database.reading() as connection:
        held = facts(connection)
        if wanted is not None and held.get(NODE) != wanted:
            return None
        if schema != schema_of(held.get(ORIGIN, "")):
            raise LedgerError(
                f"{database.name}: it says that it is the ledger {held.get(ORIGIN)}, whose schema is another"
            )
        place = place_of(connection)
    keys = days.get(held.get(NODE, ""))
    reader = LedgerReader(database, keys, held.get(NODE))
    try:
        signed = Note.parse(held[CHECKPOINT].encode()) if CHECKPOINT in held else None
        cosigned = Note.parse(held[COSIGNED].encode()) if COSIGNED in held else None
        progress = Progress(
            place.steps,
            place.leaves,
            Checkpoint.parse(signed.text).size if signed else None,
            int(held[NODE_STEPS]) - place.steps,
            moment(int(held[HEARD_AT])),
        )
        key = VerifierKey.parse(held[LOG_KEY])
        if cosigned and Checkpoint.parse(cosigned.text).size > place.leaves:
            cosigned = None  # the copy has not come so far
        return NodeLedger(held[NODE], held[ORIGIN], reader, key, keys is not None, cosigned, progress)
    except (KeyError, ValueError, OverflowError, ProofError) as error:
        raise LedgerError(f"{database.name}: what stands there of its node is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class Copied:
    """What PostgreSQL has of this node's ledger: `behind` steps are not there yet, and `lacking` leaves of ledgers that
    were set aside never came there.

    `is_own` is false where another node ships by its name; `is_private`: nobody between can read the connection to it.
    """

    is_own: bool
    behind: int
    heard: datetime
    is_private: bool
    lacking: int = 0


def copied(server: Server, settings: LedgerSettings, node: str) -> Copied | None:
    """None where it has none. Raises LedgerError where it, or this node's own ledger, cannot be asked."""
    key = own_key(settings, node)
    schema = schema_of(key.name)
    if schema not in server.schemas(ASKED_WITHIN_S):
        return None
    # One after the other: what is read of the spool while PostgreSQL is waited for holds up the writer's commit.
    with server.database(schema, str(server), ASKED_WITHIN_S).reading() as there:
        held, arrived, unseen = facts(there), place_of(there).steps, is_private(there)
        lost = lacking(there, settings, node)
    with Source.in_file(settings.own()).reading() as here:
        behind = place_of(here).steps - arrived
    return Copied(held.get(LOG_KEY) == str(key), behind, moment(int(held.get(HEARD_AT, "0"))), unseen, lost)


def days_by(key_file: Path) -> DayKeys:
    """The keys of the days beside a copy of a node's key file. Raises LedgerError where it cannot be used."""
    return DayKeys(LedgerSettings(key_file=key_file).day_keys(), KeyRing(read_key(key_file)))


def without_keys(ledgers: Sequence[NodeLedger]) -> list[str]:
    """The nodes of which no number can be opened or found here."""
    return sorted({ledger.node for ledger in ledgers if not ledger.has_keys})
