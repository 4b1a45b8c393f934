"""Represents a Merkle tree as tiles of 256 hashes, and leaf contents as bundles (C2SP tlog-tiles)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.errors import ProofError

from .checkpoints import Checkpoint
from .merkle import HASH_BYTES, Frontier, Subtree, node_hash

CHECKPOINT: Final = "checkpoint"
"""Name of the file that contains the signed checkpoint."""
WIDTH: Final = 256
"""Number of hashes in a full tile, and of entries in a full bundle."""
BITS: Final = 8
"""Number of tree levels covered by one tile."""
ENTRY_LIMIT: Final = 2**16 - 1
"""Maximum number of octets in an entry, whose length is written in two octets."""
BUNDLE_LIMIT: Final = WIDTH * (2 + ENTRY_LIMIT)
BUNDLES: Final = "tile/entries/"
"""Beginning of bundle paths. `compress_bundle` produces the contents of these files."""
GZIP: Final = bytes.fromhex("1f8b08000000000000ff")
"""First octets of a compressed bundle (RFC 1952), without a name or a time in which data could be hidden."""
_LEVEL: Final = 6
"""Compression level. Level 9 would take two thirds more time and save a fiftieth of the space."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile with the hashes of `width` complete subtrees, which have 256**`level` leaves each.

    The first subtree has the number 256 * `number` at its level.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_numbered(self.number)}{self._suffix}"

    @property
    def bundle_path(self) -> str:
        """Path of the bundle that contains a level 0 tile's entries."""
        return f"{BUNDLES}{_numbered(self.number)}{self._suffix}"

    @property
    def full(self) -> Tile:
        return Tile(self.level, self.number)

    @property
    def _suffix(self) -> str:
        return "" if self.width == WIDTH else f".p/{self.width}"


def _numbered(number: int) -> str:
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def tiles(level: int, size: int, after: int = 0) -> Iterator[Tile]:
    """Tiles at a level that a tree of `size` leaves has and a tree of `after` leaves lacks."""
    count, first = size >> BITS * level, after >> BITS * (level + 1)
    if count > after >> BITS * level:
        for number in range(first, -(-count // WIDTH)):
            yield Tile(level, number, min(WIDTH, count - number * WIDTH))


def levels(size: int) -> range:
    """Tile levels in a tree of `size` leaves."""
    return range(-(-size.bit_length() // BITS))


def edge(size: int) -> Iterator[Tile]:
    """Partial tiles at a tree's right edge, highest level first."""
    for level in reversed(levels(size)):
        if width := (size >> BITS * level) % WIDTH:
            yield Tile(level, size >> BITS * (level + 1), width)


class TiledTree:
    """A signed tree's tiles, each verified against the signed root.

    One full tile per level is cached. `read` returns a tile's octets.
    """

    def __init__(self, size: int, root: bytes, read: Callable[[Tile], bytes]) -> None:
        """Read the partial tiles.

        Raises ProofError unless they lead to `root`. Errors from `read` are also raised.
        """
        self.size = size
        self._read = read
        self._edge = {tile: self._hashes(tile) for tile in edge(size)}
        self._full: dict[int, tuple[int, list[bytes]]] = {}
        if _root(size, self._edge.values()) != root:
            raise ProofError("the last tiles do not lead to the root that was signed")

    def hashes(self, tile: Tile) -> list[bytes]:
        """Read a tile's hashes, verified against the signed root.

        Raises ProofError if the hashes differ from the signed tree. Errors from the tree's `read` are also raised.
        """
        if tile in self._edge:
            return self._edge[tile]
        number, kept = self._full.get(tile.level, (-1, []))
        if number == tile.number:
            return kept
        above = tile.number // WIDTH
        signed = self.hashes(Tile(tile.level + 1, above, self._width(tile.level + 1, above)))[tile.number % WIDTH]
        found = self._hashes(tile)
        if _joined(found) != signed:
            raise ProofError("{path} is not what was signed", path=tile.path)
        self._full[tile.level] = tile.number, found
        return found

    def check_beginning(self, signed: Checkpoint) -> None:
        """Raise ProofError unless the tree begins with the tree of the checkpoint `signed`.

        Errors from the tree's `read` are also raised.
        """
        if self.size < signed.size:
            raise ProofError(
                "it has {size} leaves, and {signed} were signed: this is an older copy, or cut off",
                size=self.size,
                signed=signed.size,
            )
        if self.root_at(signed.size) != signed.root:
            raise ProofError("its first {signed} leaves are not those that were signed", signed=signed.size)

    def root_at(self, size: int) -> bytes:
        """The tree's root when it had `size` leaves.

        `size` must not exceed the tree's size. Raises ProofError, and errors from the tree's `read`.
        """
        held = (Tile(each.level, each.number, self._width(each.level, each.number)) for each in edge(size))
        return _root(size, [self.hashes(tile)[: each.width] for tile, each in zip(held, edge(size), strict=True)])

    def read(self, places: Sequence[int]) -> Mapping[int, bytes]:
        """Read hashes by their index in the list of complete subtrees (`merkle.Read`).

        Raises ProofError, and errors from the tree's `read`.
        """
        return {place: self._subtree(Subtree.at(place)) for place in places}

    def _subtree(self, subtree: Subtree) -> bytes:
        level, below = divmod(subtree.level, BITS)
        number, first = divmod(subtree.number << below, WIDTH)
        return _joined(self.hashes(Tile(level, number, self._width(level, number)))[first : first + (1 << below)])

    def _width(self, level: int, number: int) -> int:
        return min(WIDTH, (self.size >> BITS * level) - number * WIDTH)

    def _hashes(self, tile: Tile) -> list[bytes]:
        octets = self._read(tile)
        if len(octets) != tile.width * HASH_BYTES:
            raise ProofError(
                "{path} has {count} bytes instead of {wanted}",
                path=tile.path,
                count=len(octets),
                wanted=tile.width * HASH_BYTES,
            )
        return [octets[begin : begin + HASH_BYTES] for begin in range(0, len(octets), HASH_BYTES)]


def _root(size: int, partial: Iterable[Sequence[bytes]]) -> bytes:
    return Frontier(size, [subtree for hashes in partial for subtree in _complete(hashes)]).root()


def _complete(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """Hashes of the complete subtrees above a partial tile's hashes, largest first."""
    begin = 0
    for bit in reversed(range(BITS)):
        if len(hashes) & (1 << bit):
            yield _joined(hashes[begin : begin + (1 << bit)])
            begin += 1 << bit


def _joined(hashes: Sequence[bytes]) -> bytes:
    """The hash over all these hashes, whose number is a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def bundle(entries: Iterable[bytes]) -> bytes:
    """Join entries into a bundle, each preceded by its length in two octets.

    No entry may exceed `ENTRY_LIMIT` octets.
    """
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def compress_bundle(octets: bytes) -> bytes:
    """Compress a bundle as a gzip file.

    Web servers must send the file with `Content-Encoding: gzip`.
    """
    compressor = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    end = zlib.crc32(octets).to_bytes(4, "little") + (len(octets) % 2**32).to_bytes(4, "little")
    return b"".join((GZIP, compressor.compress(octets), compressor.flush(), end))


def expand_bundle(octets: bytes, limit: int) -> bytes:
    """Expand a bundle that `compress_bundle` compressed.

    Raises ProofError for any other octets, and if the bundle exceeds `limit` bytes, at which point expansion stops.
    """
    if not octets.startswith(GZIP):
        raise ProofError("it is not compressed as idtone does it: not by gzip, or with a name or a time")
    expander = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = expander.decompress(octets, limit + 1)
    except zlib.error as error:
        raise ProofError("it cannot be expanded: {reason}", reason=error) from error
    if len(found) > limit:
        raise ProofError("it is larger than {limit} bytes", limit=limit)
    if not expander.eof or expander.unused_data:
        raise ProofError("it is cut off, or more follows")
    return found


def entries_of(octets: bytes, count: int) -> list[bytes]:
    """Split a bundle into its entries.

    Raises ProofError unless the bundle contains exactly `count` entries and nothing else.
    """
    found: list[bytes] = []
    begin = 0
    while begin < len(octets) and len(found) < count:
        end = begin + 2 + int.from_bytes(octets[begin : begin + 2], "big")
        found.append(octets[begin + 2 : end])
        begin = end
    if begin != len(octets) or len(found) != count:
        raise ProofError("it does not hold {count} whole entries", count=count)
    return found
