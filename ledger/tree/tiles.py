"""A tree as tiles: its hashes in groups of 256, and the contents of its leaves in bundles (C2SP tlog-tiles). Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.errors import ProofError

from .checkpoints import Checkpoint
from .merkle import HASH_BYTES, Frontier, Subtree, node_hash

CHECKPOINT: Final = "checkpoint"
"""The name of the file with the signed checkpoint."""
WIDTH: Final = 256
"""Hashes of a full tile, and entries of a full bundle."""
BITS: Final = 8
"""Number of levels of the tree in one tile."""
ENTRY_LIMIT: Final = 2**16 - 1
"""Maximum number of octets of an entry. Its length is written in two octets."""
BUNDLE_LIMIT: Final = WIDTH * (2 + ENTRY_LIMIT)
BUNDLES: Final = "tile/entries/"
"""Beginning of the paths of bundles. `compress_bundle` makes the files there."""
GZIP: Final = bytes.fromhex("1f8b08000000000000ff")
"""Beginning of a compressed bundle (RFC 1952), without a name or a time in which data could be hidden."""
_LEVEL: Final = 6
"""Level of compression. Level 9 would take two thirds more time, and save a fiftieth of the space."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: the hashes of `width` complete subtrees of 256**`level` leaves, from number 256 * `number` on."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_numbered(self.number)}{self._suffix}"

    @property
    def bundle_path(self) -> str:
        """The path of the bundle with the entries of this tile of level 0."""
        return f"{BUNDLES}{_numbered(self.number)}{self._suffix}"

    @property
    def full(self) -> Tile:
        return Tile(self.level, self.number)

    @property
    def _suffix(self) -> str:
        return "" if self.width == WIDTH else f".p/{self.width}"


def _numbered(number: int) -> str:
    """The number in the form of a path: 1234067 as `x001/x234/067`."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def tiles(level: int, size: int, after: int = 0) -> Iterator[Tile]:
    """The tiles of a level that a tree of `size` leaves has and a tree of `after` leaves lacks."""
    count, first = size >> BITS * level, after >> BITS * (level + 1)
    if count > after >> BITS * level:
        for number in range(first, -(-count // WIDTH)):
            yield Tile(level, number, min(WIDTH, count - number * WIDTH))


def levels(size: int) -> range:
    """The levels with tiles in a tree of `size` leaves."""
    return range(-(-size.bit_length() // BITS))


def edge(size: int) -> Iterator[Tile]:
    """The partial tiles at the right edge of the tree, those with the largest subtrees first."""
    for level in reversed(levels(size)):
        if width := (size >> BITS * level) % WIDTH:
            yield Tile(level, size >> BITS * (level + 1), width)


class TiledTree:
    """The tiles of a signed tree, each proven by the root. One full tile of each level is cached."""

    def __init__(self, size: int, root: bytes, read: Callable[[Tile], bytes]) -> None:
        """Read the partial tiles. Raises ProofError unless they lead to the root, and the errors of `read`."""
        self.size = size
        self._read = read
        self._edge = {tile: self._hashes(tile) for tile in edge(size)}
        self._full: dict[int, tuple[int, list[bytes]]] = {}
        if _root(size, self._edge.values()) != root:
            raise ProofError("the last tiles do not lead to the root that was signed")

    def hashes(self, tile: Tile) -> list[bytes]:
        """The hashes of a tile. Raises ProofError if they differ from the signed tree, and the errors of `read`."""
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
        """Raise ProofError unless the tree begins with the signed tree. Also raises the errors of `hashes`."""
        if self.size < signed.size:
            raise ProofError(
                "it has {size} leaves, and {signed} were signed: this is an older copy, or cut off",
                size=self.size,
                signed=signed.size,
            )
        if self.root_at(signed.size) != signed.root:
            raise ProofError("its first {signed} leaves are not those that were signed", signed=signed.size)

    def root_at(self, size: int) -> bytes:
        """The root of the tree at `size`, which is at most the present size. Raises the errors of `hashes`."""
        held = (Tile(each.level, each.number, self._width(each.level, each.number)) for each in edge(size))
        return _root(size, [self.hashes(tile)[: each.width] for tile, each in zip(held, edge(size), strict=True)])

    def read(self, places: Sequence[int]) -> Mapping[int, bytes]:
        """The hashes at these places of the list of complete subtrees (`merkle.Read`). Raises the errors of
        `hashes`.
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
    """The root from the hashes of the tiles of `edge`."""
    return Frontier(size, [subtree for hashes in partial for subtree in _complete(hashes)]).root()


def _complete(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """The hashes of the complete subtrees above those of a partial tile, the largest first."""
    begin = 0
    for bit in reversed(range(BITS)):
        if len(hashes) & (1 << bit):
            yield _joined(hashes[begin : begin + (1 << bit)])
            begin += 1 << bit


def _joined(hashes: Sequence[bytes]) -> bytes:
    """The hash above all of these hashes. Their number is a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def bundle(entries: Iterable[bytes]) -> bytes:
    """The bundle of these entries, each preceded by its length. No entry has more than `ENTRY_LIMIT` octets."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def compress_bundle(octets: bytes) -> bytes:
    """The file of a bundle. A web server sends it with `Content-Encoding: gzip`."""
    compressor = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    end = zlib.crc32(octets).to_bytes(4, "little") + (len(octets) % 2**32).to_bytes(4, "little")
    return b"".join((GZIP, compressor.compress(octets), compressor.flush(), end))


def expand_bundle(octets: bytes, limit: int) -> bytes:
    """The bundle that `compress_bundle` made. Raises ProofError for anything else, and for more than `limit` bytes,
    without expanding more.
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
    """The entries of a bundle. Raises ProofError unless it has exactly `count` entries and nothing else."""
    found: list[bytes] = []
    begin = 0
    while begin < len(octets) and len(found) < count:
        end = begin + 2 + int.from_bytes(octets[begin : begin + 2], "big")
        found.append(octets[begin + 2 : end])
        begin = end
    if begin != len(octets) or len(found) != count:
        raise ProofError("it does not hold {count} whole entries", count=count)
    return found
