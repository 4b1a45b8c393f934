"""Counts of all calls in the ledger. They are stored, so that only calls changed since then are counted again."""

import hashlib
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from idtone.core.settings.settings import Settings
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.replication.node_ledgers import replica_of
from idtone.ledger.store.call_groups import call_groups
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.ledger.store.sqlite import path_of

from .background_work import Progress, Work
from .counts import Counts
from .counts_file import file_beside, read_counts, write_counts
from .other_nodes import is_other_node

BATCH: Final = 20_000
"""Number of steps per batch. Larger batches read fewer calls twice."""
KEPT_EVERY: Final = 500_000
"""Number of steps after which the counts of a long update are stored.

The first count is stored only when complete, and starts over if the console stops before then.
"""
ANEW_AFTER_S: Final = 20.0
"""Maximum age of counts shown without recounting, in seconds."""

_log = logging.getLogger(__name__)


def reader_of(settings: Settings, node: str) -> LedgerReader:
    """A reader for this node's ledger or another's replica. Raises LedgerError, or UsageError for an unknown node."""
    if is_other_node(settings, node):
        return replica_of(Server.all_of(settings.ledger), node).reader
    return LedgerReader.open(settings.ledger.own_url())


def count_calls(settings: Settings, node: str, known: Counts | None, *, progress: Progress) -> Counts:
    """Count all calls, continuing from `known`.

    Starts over if `known` belongs to another ledger, such as a restored backup. Raises LedgerError, UsageError.
    """
    with reader_of(settings, node) as reader:
        origin, newest = reader.origin(), reader.newest_place()
        is_same = known and known.origin == origin and known.last == _hash(reader, known.place)
        counts = known if known and is_same else Counts()
        counts.origin, counts.at = origin, datetime.now(UTC)
        begun_at, is_own = counts.place, not is_other_node(settings, node)
        if not begun_at and newest:
            passed = partial(_passed, progress, newest)
            for begun, record, times in call_groups(reader, last=newest, progress=passed):
                counts.add(record, times, begun)
            counts.place, counts.last = newest, _hash(reader, newest)
            if is_own:
                _keep(counts_path(settings), counts)
        for until in _ends(counts.place, newest):
            for old, new in reader.changed_records(counts.place, until):
                if old:
                    counts.add(old, -1)
                counts.add(new)
            counts.place, counts.last = until, _hash(reader, until)
            if is_own and until - counts.kept >= (BATCH if until == newest else KEPT_EVERY):
                _keep(counts_path(settings), counts)
            progress(until - begun_at, newest - begun_at)
    return counts


def _passed(progress: Progress, newest: int, steps: int) -> None:
    """Report the progress, capped at `newest` because the last batch is usually shorter than calculated."""
    progress(min(steps, newest), newest)


def _hash(reader: LedgerReader, place: int) -> str:
    """Hash of the last step before `place`, or an empty string if there is none."""
    found = next(iter(reader.steps_in_order(place - 1, place, frozenset(StepKind))), None)
    return hashlib.sha256(f"{found.call_id}\n{found.text}".encode()).hexdigest() if found else ""


def counts_path(settings: Settings) -> Path:
    """Path of the file with this node's counts. Counts for other nodes stay in memory."""
    return file_beside(path_of(settings.ledger.own_url()))


def _keep(path: Path, counts: Counts) -> None:
    try:
        write_counts(path, counts)
        counts.kept = counts.place
    except OSError as error:
        _log.warning("%s: cannot be written: %s; calls are counted anew after a restart", path, error.strerror)


def _ends(place: int, newest: int) -> Iterable[int]:
    """Yield where each batch ends."""
    while place < newest:
        place = min(place + BATCH, newest)
        yield place


class Statistics:
    """Call counts for one node's ledger. Use only from the event loop, except `is_behind`."""

    def __init__(self, settings: Settings, node: str = "") -> None:
        """`node` is another node's name, or empty for this node."""
        self._settings = settings
        self._node = node
        self.work: Work[Counts] = Work(count_calls, self._take)
        self.shown: object = None
        """Values derived from these counts that a page last showed."""
        self.counts = None if is_other_node(settings, node) else read_counts(counts_path(settings))

    def is_behind(self) -> bool:
        """True if there are no counts, or if they lack ledger steps and are older than `ANEW_AFTER_S`.

        Raises LedgerError, or UsageError for an unknown node.
        """
        with reader_of(self._settings, self._node) as reader:
            newest = reader.newest_place()
        known = self.counts
        if known is None:
            return True
        return known.place != newest and (datetime.now(UTC) - known.at).total_seconds() > ANEW_AFTER_S

    def start(self) -> None:
        self.work.start(self._settings, self._node, self.counts)

    def _take(self, counts: Counts) -> None:
        self.counts = counts
