"""Functions on a ledger's file for tests: write, read, verify, lock and damage it."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import Step
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter

from .sample_evidence import KEY, LOG, SEED, days_of, key_ring_of, wait_until


def writer_of(url: str, *reserve_bytes: int) -> LedgerWriter:
    """Open the node's writer. Raises LedgerError."""
    return LedgerWriter.open(url, "pbx-1", key_ring_of(url), *reserve_bytes)


def write(url: str, *calls: Iterable[Step]) -> None:
    """Write calls with a new writer, in few transactions."""
    with writer_of(url) as writer:
        futures = [writer.append(step) for call in calls for step in call]
    for future in futures:
        future.result(0)


def write_keys(folder: Path) -> None:
    """Write the two keys beside a ledger: one for its sealed numbers, and one for its signature."""
    for name, octets in (("key", KEY), ("key.sign", SEED)):
        (folder / name).write_bytes(octets)
        (folder / name).chmod(0o600)


def write_together(writer: LedgerWriter, group: Iterable[Step]) -> None:
    """Write steps, mostly in one transaction."""
    futures = [writer.append(step) for step in group]
    writer.hurry()
    for future in futures:
        future.result(60)


def wait_until_written(writer: LedgerWriter) -> None:
    """Wait until all steps are written."""
    wait_until(lambda: writer.unwritten is None)


def records_of(url: str) -> dict[str, Record]:
    """Call id → record, read with the ledger's keys, newest last."""
    with LedgerReader.open(url, days_of(url)) as reader:
        return {record.call_id: record for record in reader.records()}


def open_reader(url: str, days: DayKeys | None = None, server: Server | None = None) -> LedgerReader:
    """A reader of a ledger. If `server` is given, replicates the ledger there and reads the replica."""
    if server is None:
        return LedgerReader.open(url, days)
    spool = path_of(url)
    signing = spool.with_name("key.sign")
    signing.write_bytes(SEED)
    signing.chmod(0o600)
    settings = LedgerSettings(url=server.url, password=server.password, spool=spool, key_file=spool.with_name("key"))
    with closing(ReplicaConnection(settings, "pbx-1")) as connection:
        while connection.replicate().behind:
            pass
    return LedgerReader(server.database(schema_of(LOG.name), "the copy"), days)


def verification_faults(url: str, *notes: tuple[str, Note], log: Signer | None = None) -> list[str]:
    """Faults that `idtone ledger verify` finds, or the error if the database cannot be read."""
    try:
        seen = key_ring_of(url).seen.latest(LOG)
        with LedgerReader.open(url, days_of(url)) as reader:
            known = [("seen", seen[0])] if seen else []
            return verify_ledger(reader, log.key if log else LOG, [*known, *notes]).faults
    except LedgerError as error:
        return [str(error)]


def query(file: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Run a statement that reads or changes a ledger's file, and return its rows. The writer does not notice it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement, values).fetchall()


@contextmanager
def lock_ledger(file: Path, *statements: str) -> Iterator[sqlite3.Connection]:
    """Context in which another connection locks the ledger with these statements.

    The default is a writer's lock.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        for statement in statements or ("BEGIN IMMEDIATE",):
            other.execute(statement).fetchall()
        yield other


def overwrite(file: Path, octets: bytes = b"\xff" * 100, at: int = 0) -> None:
    """Overwrite octets of a file, by default the header of a database."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(octets)
