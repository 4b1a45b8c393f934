"""Verifies a published tree with nothing but its log's key.

Every tile is compared with the root, and every entry is checked against the ledger's rules. This detects the same
faults as `verify` does in a database, except in parts that only a database has: calls in progress, indexes and search
entries.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey
from idtone.core.translation import Message

from ..evidence.format_rules import RuleError
from ..evidence.leaf_rules import LeafRules, ReadLeaf
from ..evidence.log_ends_given_up import EndsGivenUp
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import HASH_BYTES, leaf_hash
from ..tree.tiles import BUNDLE_LIMIT, CHECKPOINT, WIDTH, Tile, TiledTree, entries_of, tiles
from .tile_source import TileSource

FAULTS_LIMIT: Final = 100


@dataclass
class TilesVerdict:
    """The result of verifying a published tree.

    `steps` is the number of steps in leaves. `awaited` counts steps between these that are in no leaf. `cosigners` are
    the given witnesses that cosigned the checkpoint. `root` is empty if the checkpoint is not trusted.
    """

    leaves: int = 0
    root: bytes = b""
    steps: int = 0
    awaited: int = 0
    cosigners: tuple[VerifierKey, ...] = ()
    gives_up: EndsGivenUp = field(default_factory=EndsGivenUp)
    """Earlier logs' ends that this log gives up."""
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
    each: Callable[[int, str], None] = lambda number, call_id: None,
) -> TilesVerdict:
    """Verify that `log` signed everything in a published tree, and that witnesses cosigned it.

    `notes` are checkpoints kept elsewhere, with their sources. `each` receives each leaf's number and call. `progress`
    receives the number of verified leaves and their total. Raises LedgerError if there is no checkpoint, or if a file
    cannot be read.
    """
    verdict = TilesVerdict()
    try:
        octets = source.read(CHECKPOINT, NOTE_LIMIT)
        if octets is None:
            raise LedgerError("there is no file {name}; name the place that has it", name=CHECKPOINT)
        note = Note.parse(octets)
        checkpoint = verified_checkpoint(note, log)
        verdict.leaves = checkpoint.size
        verdict.cosigners = note.signed_by(witnesses)
        tree = signed_tree(source, checkpoint)
        verdict.root = checkpoint.root
    except ProofError as error:
        verdict.fault(str(error))
        return verdict
    for witness in witnesses:
        if witness not in verdict.cosigners:
            verdict.fault(f"{witness.name} has not cosigned the checkpoint")
    for name, kept in notes:
        try:
            tree.check_beginning(verified_checkpoint(kept, log))
        except ProofError as error:
            verdict.fault(f"{name}: {error}")
    with closing(_Counts()) as counts:
        rules = LeafRules(counts, has_all=True)

        def count(number: int, read: ReadLeaf) -> None:
            verdict.steps += len(read.ids)
            verdict.gives_up.add_leaf(read)
            each(number, read.call_id)

        for tile in tiles(0, tree.size):
            for fault in _bundle_faults(source, tree, tile, rules, count):
                verdict.fault(fault)
            progress(tile.number * WIDTH + tile.width, tree.size)
        verdict.awaited = rules.steps_without_leaf
    return verdict


def signed_tree(source: TileSource, checkpoint: Checkpoint) -> TiledTree:
    """Open a checkpoint's published tree.

    Raises ProofError unless its last tiles lead to the root, and LedgerError if they cannot be read.
    """
    return TiledTree(checkpoint.size, checkpoint.root, lambda tile: _read(source, tile, tile.path))


def _read(source: TileSource, tile: Tile, path: str, limit: int = WIDTH * HASH_BYTES) -> bytes:
    octets = source.read(path, limit)
    if octets is None and tile.width < WIDTH:
        # A partial tile is removed once it is full, perhaps since the checkpoint was read.
        whole = source.read(tile.full.path, limit)
        octets = whole and whole[: tile.width * HASH_BYTES]
    if octets is None:
        raise ProofError("{path} is missing", path=path)
    return octets


def _entries(source: TileSource, tile: Tile) -> list[bytes]:
    octets = source.read(tile.bundle_path, BUNDLE_LIMIT)
    if octets is None and tile.width < WIDTH and (whole := source.read(tile.full.bundle_path, BUNDLE_LIMIT)):
        return entries_of(whole, WIDTH)[: tile.width]
    if octets is None:
        raise ProofError("it is missing")
    return entries_of(octets, tile.width)


def entries_as_signed(source: TileSource, tree: TiledTree, tile: Tile) -> list[bytes | None]:
    """Read the entries of a level 0 tile. An entry that differs from the signed entry is None.

    Raises ProofError if the tile differs from the signed tile or has no entries, and LedgerError if files cannot be
    read.
    """
    hashes = tree.hashes(tile)
    try:
        entries = _entries(source, tile)
    except ProofError as error:
        raise ProofError("{path}: {error}", path=tile.bundle_path, error=error) from error
    return [entry if leaf_hash(entry) == signed else None for entry, signed in zip(entries, hashes, strict=True)]


def _bundle_faults(
    source: TileSource, tree: TiledTree, tile: Tile, rules: LeafRules, each: Callable[[int, ReadLeaf], None]
) -> Iterator[str]:
    try:
        entries = entries_as_signed(source, tree, tile)
    except ProofError as error:
        yield str(error)
        rules.are_calls_whole = False
        return
    for index, entry in enumerate(entries, tile.number * WIDTH):
        if entry is None:
            yield not_as_signed(tile, index)
            rules.are_calls_whole = False
            continue
        try:
            read = rules.add(entry)
        except RuleError as error:
            yield Message("{path}: leaf {index}: {error}", path=tile.bundle_path, index=index, error=error)
        else:
            each(index, read)


def not_as_signed(tile: Tile, index: int) -> Message:
    return Message("{path}: leaf {index} is not what was signed", path=tile.bundle_path, index=index)


class _Counts:
    """Number of steps in each call's leaves (`leaf_rules.StepCounts`).

    If there are many calls, the counts are kept on disk.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a file without a name
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("CREATE TABLE calls (call TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID")

    def get(self, call_id: str, default: int, /) -> int:
        found = self._database.execute("SELECT steps FROM calls WHERE call = ?", (call_id,)).fetchone()
        return default if found is None else int(found[0])

    def __setitem__(self, call_id: str, count: int, /) -> None:
        self._database.execute("REPLACE INTO calls VALUES (?, ?)", (call_id, count))

    def close(self) -> None:
        self._database.close()
