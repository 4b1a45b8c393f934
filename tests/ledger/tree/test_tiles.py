"""The tiles, compared with the examples and the definition of C2SP tlog-tiles."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from idtone.core.errors import ProofError
from idtone.ledger.tree import merkle
from idtone.ledger.tree.tiles import ENTRY_LIMIT, WIDTH, Tile, TiledTree, bundle, edge, entries_of, levels, tiles
from lab.ledger.tree.reference import Stored, root

LEAVES = [str(number).encode() for number in range(65_536 + 256 + 3)]
TREE = Stored(LEAVES)
"""Tree with a full tile of level 1."""


def cut(size: int) -> dict[str, bytes]:
    """All tiles of the tree of the first `size` leaves, by definition: MTH of each range of leaves."""
    return {tile.path: hashed(tile) for level in levels(size) for tile in tiles(level, size)}


def hashed(tile: Tile) -> bytes:
    places = [merkle.Subtree(8 * tile.level, 256 * tile.number + number).place for number in range(tile.width)]
    return b"".join(TREE.hashes[place] for place in places)


def test_the_paths_are_those_of_the_specification():
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(2, 0, 1).path == "tile/2/000.p/1"
    assert Tile(0, 273, 112).bundle_path == "tile/entries/273.p/112"
    of_70_000 = {level: list(tiles(level, 70_000)) for level in levels(70_000)}
    assert [len(each) for each in of_70_000.values()] == [274, 2, 1]
    assert list(edge(70_000)) == [Tile(2, 0, 1), Tile(1, 1, 17), Tile(0, 273, 112)]
    assert [list(tiles(level, 256)) for level in levels(256)] == [[Tile(0, 0)], [Tile(1, 0, 1)]]


def test_a_tile_has_the_hashes_of_the_definition():
    (level_1,) = tiles(1, 600)
    assert cut(600)[level_1.path] == b"".join(root(LEAVES[256 * n : 256 * (n + 1)]) for n in range(2))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1500), st.integers(0, 1500))
@example(65_536, 65_535)
@example(len(LEAVES), 65_536)
@example(512, 256)
def test_every_tile_is_proven_and_the_new_ones_complete_the_old(size, old):
    size, old = max(size, old), min(size, old)
    files = cut(size)
    tree = TiledTree(size, merkle.root(size, TREE.read), lambda tile: files[tile.path])
    assert tree.root_at(old) == merkle.root(old, TREE.read)
    new = [tile for level in levels(size) for tile in tiles(level, size, old)]
    assert files.items() <= (cut(old) | {tile.path: hashed(tile) for tile in new}).items()
    assert {tile.path for tile in new} & cut(old).keys() == set()
    for tile in new[:: max(1, len(new) // 20)]:
        assert b"".join(tree.hashes(tile)) == hashed(tile)


@pytest.mark.parametrize(
    ("path", "length"), [("tile/2/000.p/1", 32), ("tile/1/000", 8192), ("tile/1/001.p/1", 32), ("tile/0/077", 8191)]
)
def test_a_tile_that_is_not_what_was_signed_is_refused(path, length):
    size = len(LEAVES)
    files = cut(size)
    files[path] = (bytes([files[path][0] ^ 1]) + files[path][1:])[:length]
    with pytest.raises(ProofError, match=r"what was signed|do not lead to the root|instead of 8192"):
        TiledTree(size, TREE.frontier.root(), lambda tile: files[tile.path]).hashes(Tile(0, 77))


def test_a_bundle_is_read_as_it_was_written():
    entries = [b"", b"a", bytes(ENTRY_LIMIT), *LEAVES[: WIDTH - 3]]
    octets = bundle(entries)
    assert octets[:5] == b"\0\0\0\x01a"
    assert entries_of(octets, WIDTH) == entries
    for damaged, count in ((octets[:-1], WIDTH), (octets + b"\0", WIDTH), (octets, WIDTH - 1), (octets, WIDTH + 1)):
        with pytest.raises(ProofError, match="whole entries"):
            entries_of(damaged, count)
