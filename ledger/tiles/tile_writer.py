"""Writes a ledger's signed tree as a folder of tiles.

Everything is checked against the signed root before it is written. The checkpoint is written last, so the folder always
contains its checkpoint's entire tree. Full tiles never change. A partial tile is removed once the full tile exists.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.files import make_folder, replace_durably, sync_folder
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey

from ..store.database import Connection, Database
from ..store.leaf_contents import LeafContent, leaf_contents
from ..store.stored_tree import read_hashes
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import HASH_BYTES, Subtree, leaf_hash
from ..tree.tiles import (
    BITS,
    CHECKPOINT,
    ENTRY_LIMIT,
    WIDTH,
    Tile,
    TiledTree,
    bundle,
    compress_bundle,
    edge,
    levels,
    tiles,
)

FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640


@dataclass
class TilesWritten:
    """Numbers of leaves, files and octets that `write_tiles` wrote.

    `leaves` is the number of leaves in the folder's checkpoint, and `before` is the number in its previous checkpoint.
    `files` and `octets` count what was written. `cosigners` are the names in the checkpoint's other signatures, which
    are not verified.
    """

    folder: Path
    leaves: int
    before: int
    cosigners: tuple[str, ...] = ()
    files: int = 0
    octets: int = 0


def write_tiles(
    database: Database,
    log: VerifierKey,
    note: Note,
    folder: Path,
    progress: Callable[[int, int], None] = lambda leaves, total: None,
) -> TilesWritten:
    """Write a signed checkpoint's tree as tiles into a folder, or add the missing tiles.

    A folder that already has more leaves stays unchanged. If root writes, the files get the folder's owner and group.
    `progress` receives the number of leaves written and their total. Raises LedgerError if the ledger differs from what
    `log` signed, or if the folder contains another tree. In both cases, the folder keeps its checkpoint and tree.
    """
    checkpoint = verified_checkpoint(note, log)
    with _explained(folder), _alone(folder):
        held = _held(folder / CHECKPOINT, log)
        if held and held[1].size > checkpoint.size:
            note, checkpoint = held
        elif held and held[0].text == note.text:
            note = _with_cosignatures(note, held[0])
        before = held[1].size if held else 0
        cosigners = tuple(dict.fromkeys(line.name for line in note.signatures if line.name != log.name))
        written = TilesWritten(folder, checkpoint.size, before, cosigners)
        if not held or held[0] != note:
            with database.paged() as connection:
                _Writing(connection, checkpoint, held[1] if held else None, written, progress).run(note)
    return written


def _held(path: Path, log: VerifierKey) -> tuple[Note, Checkpoint] | None:
    """The checkpoint in the file; None if it is missing. Raises LedgerError if it does not belong to this log."""
    try:
        with path.open("rb") as file:
            note = Note.parse(file.read(NOTE_LIMIT + 1))
        return note, verified_checkpoint(note, log)
    except FileNotFoundError:
        return None
    except ProofError as error:
        raise LedgerError("{path}: {error}; name another folder", path=path, error=error) from error


def _with_cosignatures(note: Note, held: Note) -> Note:
    known = {(line.name, line.key_id) for line in note.signatures}
    return note.with_lines(line for line in held.signatures if (line.name, line.key_id) not in known)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(
            "{path}: the tiles cannot be written: {reason}", path=error.filename or folder, reason=error.strerror
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Create the folder and lock it during the block. Raises LedgerError if another process writes to it."""
    _make(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LedgerError("{folder}: another process writes there; try again later", folder=folder) from error
    finally:
        os.close(descriptor)


def _make(folder: Path) -> None:
    """Create the folder and its missing parents. Folders created by root get their parent's owner and group."""
    if folder.exists():
        return
    _make(folder.parent)
    make_folder(folder, FOLDER_MODE)
    os.chown(folder, *_owner_in(folder.parent))


class _Writing:
    def __init__(
        self,
        connection: Connection,
        checkpoint: Checkpoint,
        held: Checkpoint | None,
        written: TilesWritten,
        progress: Callable[[int, int], None],
    ) -> None:
        self._connection = connection
        self._checkpoint = checkpoint
        self._held = held
        self._written = written
        self._progress = progress
        self._folder = written.folder
        self._touched: set[Path] = set()
        self._owner, self._group = _owner_in(self._folder)

    def run(self, note: Note) -> None:
        size, before = self._checkpoint.size, self._written.before
        try:
            tree = TiledTree(size, self._checkpoint.root, partial(_stored, self._connection))
            if self._held:
                tree.check_beginning(self._held)
            self._write_leaves(tree)
            for level in levels(size)[1:]:
                for tile in tiles(level, size, before):
                    self._put(tile.path, b"".join(tree.hashes(tile)))
        except ProofError as error:
            raise LedgerError(
                "the ledger is not what was signed, and is not published in {folder}: {error}",
                folder=self._folder,
                error=error,
            ) from error
        for folder in sorted(self._touched):
            sync_folder(folder)
        self._put(CHECKPOINT, str(note).encode())
        sync_folder(self._folder)
        self._remove_partial()

    def _write_leaves(self, tree: TiledTree) -> None:
        """Write the level 0 tiles and their bundles. Raises ProofError if a leaf differs from the signed leaf."""
        first = self._written.before // WIDTH * WIDTH
        contents = leaf_contents(self._connection, first, tree.size)
        for tile in tiles(0, tree.size, self._written.before):
            hashes = tree.hashes(tile)
            leaves = islice(contents, tile.width)
            self._put(tile.bundle_path, compress_bundle(bundle(map(_signed, leaves, hashes))))
            self._put(tile.path, b"".join(hashes))
            self._progress(tile.number * WIDTH + tile.width, tree.size)

    def _put(self, path: str, octets: bytes) -> None:
        target = self._folder / path
        _make(target.parent)
        replace_durably(target, octets, FILE_MODE, self._group, self._owner)
        self._touched |= set(target.parents[: len(Path(path).parents)])
        self._written.files += 1
        self._written.octets += len(octets)

    def _remove_partial(self) -> None:
        for tile in edge(self._written.before):
            if self._written.leaves >> BITS * (tile.level + 1) > tile.number:
                for path in (tile.path, tile.bundle_path)[: 2 if tile.level == 0 else 1]:
                    with suppress(FileNotFoundError):
                        shutil.rmtree(self._folder / Path(path).parent)


def _signed(leaf: LeafContent, signed: bytes) -> bytes:
    """A leaf's content.

    Raises ProofError if it differs from the signed content, and LedgerError if it is too large for a bundle.
    """
    if leaf_hash(leaf.content) != signed:
        raise ProofError("leaf {index}, call {call_id}", index=leaf.number, call_id=leaf.call_id)
    if len(leaf.content) > ENTRY_LIMIT:
        raise LedgerError(
            "leaf {index}, call {call_id}, has {count} bytes; a tile holds entries of {limit} bytes at most",
            index=leaf.number,
            call_id=leaf.call_id,
            count=len(leaf.content),
            limit=ENTRY_LIMIT,
        )
    return leaf.content


def _stored(connection: Connection, tile: Tile) -> bytes:
    """A tile's hashes as stored in the database. Raises LedgerError if they are missing or damaged."""
    first = tile.number * WIDTH
    places = [Subtree(BITS * tile.level, number).place for number in range(first, first + tile.width)]
    found = read_hashes(connection, places)
    hashes = [found[place] for place in places]
    if not all(isinstance(each, bytes) and len(each) == HASH_BYTES for each in hashes):
        raise LedgerError("hashes of the tree are damaged; run: idtone ledger verify")
    return b"".join(hashes)


def _owner_in(folder: Path) -> tuple[int, int]:
    """User and group for new files in the folder.

    If root creates the files, they get the folder's owner and group. Otherwise, both are -1, which means the process's
    own.
    """
    status = folder.stat()
    return (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)
