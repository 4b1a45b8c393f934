"""Verifies a published tree by its log's key alone: every tile against the root, and every entry by the ledger's rules.

What `verify` finds in a database is found here as well, except what only the database has: calls in progress, indexes
and search entries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from idtone.errors import LedgerError, ProofError
from idtone.signed_notes import NOTE_LIMIT, Note, VerifierKey
from idtone.translation import Message

from ..evidence.leaf_rules import StepOrder, check_call, read_leaf
from ..tree.checkpoints import believed
from ..tree.merkle import HASH_BYTES, leaf_hash
from ..tree.tiles import BUNDLE_LIMIT, CHECKPOINT, WIDTH, Tile, TiledTree, entries_of, tiles
from .tile_source import TileSource

FAULTS_LIMIT: Final = 100


@dataclass
class TilesVerdict:
    """`steps` are those in leaves, `awaited` those between them that are in no leaf. `cosigners` are the given
    witnesses that have cosigned the checkpoint. `root` is empty if the checkpoint is not believed.
    """

    leaves: int = 0
    root: bytes = b""
    steps: int = 0
    awaited: int = 0
    cosigners: tuple[VerifierKey, ...] = ()
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_LIMIT and text not in self.faults:
            self.faults.append(text)


def verify_tiles(
    source: TileSource,
    log: VerifierKey,
    witnesses: Sequence[VerifierKey] = (),
    notes: Iterable[tuple[str, Note]] = (),
    progress: Callable[[int, int], None] = lambda leaves, total: None,
) -> TilesVerdict:
    """Whether everything there is what `log` has signed, and `witnesses` have cosigned it.

    `notes` are checkpoints that were kept elsewhere, and where they come from. `progress` gets how many leaves of how
    many were verified. Raises LedgerError if there is no checkpoint, or something cannot be read.
    """
    verdict = TilesVerdict()
    try:
        octets = source.read(CHECKPOINT, NOTE_LIMIT)
        if octets is None:
            raise LedgerError(Message("there is no file {name}; name the place that has it", name=CHECKPOINT))
        note = Note.parse(octets)
        checkpoint = believed(note, log)
        verdict.leaves = checkpoint.size
        verdict.cosigners = note.signed_by(witnesses)
        tree = TiledTree(checkpoint.size, checkpoint.root, lambda tile: _read(source, tile, tile.path))
        verdict.root = checkpoint.root
    except ProofError as error:
        verdict.fault(str(error))
        return verdict
    for witness in witnesses:
        if witness not in verdict.cosigners:
            verdict.fault(f"{witness.name} has not cosigned the checkpoint")
    for name, kept in notes:
        try:
            tree.check_beginning(believed(kept, log))
        except ProofError as error:
            verdict.fault(f"{name}: {error}")
    with closing(_Calls()) as calls:
        for tile in tiles(0, tree.size):
            _verify_bundle(source, tree, tile, calls, verdict)
            progress(tile.number * WIDTH + tile.width, tree.size)
        verdict.awaited = calls.order.awaited
    return verdict


def _read(source: TileSource, tile: Tile, path: str, limit: int = WIDTH * HASH_BYTES) -> bytes:
    octets = source.read(path, limit)
    if octets is None and tile.width < WIDTH:
        # A partial tile is removed once it is full, perhaps since the checkpoint was read.
        whole = source.read(tile.full.path, limit)
        octets = whole and whole[: tile.width * HASH_BYTES]
    if octets is None:
        raise ProofError(Message("{path} is missing", path=path))
    return octets


def _entries(source: TileSource, tile: Tile) -> list[bytes]:
    octets = source.read(tile.bundle_path, BUNDLE_LIMIT)
    if octets is None and tile.width < WIDTH and (whole := source.read(tile.full.bundle_path, BUNDLE_LIMIT)):
        return entries_of(whole, WIDTH)[: tile.width]
    if octets is None:
        raise ProofError(Message("it is missing"))
    return entries_of(octets, tile.width)


def _verify_bundle(source: TileSource, tree: TiledTree, tile: Tile, calls: _Calls, verdict: TilesVerdict) -> None:
    try:
        hashes = tree.hashes(tile)
    except ProofError as error:
        verdict.fault(str(error))
        calls.are_complete = False
        return
    try:
        entries = _entries(source, tile)
    except ProofError as error:
        verdict.fault(f"{tile.bundle_path}: {error}")
        calls.are_complete = False
        return
    for index, (entry, signed) in enumerate(zip(entries, hashes, strict=True), tile.number * WIDTH):
        if leaf_hash(entry) != signed:
            verdict.fault(f"{tile.bundle_path}: leaf {index} is not what was signed")
            calls.are_complete = False
            continue
        try:
            verdict.steps += calls.add(entry)
        except ProofError as error:
            verdict.fault(f"{tile.bundle_path}: leaf {index}: {error}")


class _Calls:
    """What is known of the calls whose leaves were read. It is on the disk if there are many."""

    def __init__(self) -> None:
        self.order = StepOrder()
        self.are_complete = True
        """Whether each leaf could be read until now."""
        self._database = sqlite3.connect("", isolation_level=None)  # a file without a name
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("CREATE TABLE calls (call TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID")

    def add(self, content: bytes) -> int:
        """Add the next leaf, and return the number of its steps. Raises ProofError if it is against the rules."""
        read = read_leaf(content)
        known = self._database.execute("SELECT steps FROM calls WHERE call = ?", (read.call_id,)).fetchone()
        before = known[0] if known else 0
        self._database.execute(
            "INSERT INTO calls VALUES (?, ?) ON CONFLICT (call) DO UPDATE SET steps = excluded.steps",
            (read.call_id, before + len(read.ids)),
        )
        if self.are_complete:
            check_call(read, before)
        self.order.add(read.ids)
        return len(read.ids)

    def close(self) -> None:
        self._database.close()
