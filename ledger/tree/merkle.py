"""The Merkle tree of RFC 6962, section 2.1, over SHA-256.

The module does no I/O. The caller passes a function that reads hashes. A tree is stored as a list of its complete
subtrees' hashes, in which each leaf hash is followed by the hashes of the subtrees that the leaf completes. The list
only grows, and contains fewer than two hashes per leaf. A root or a proof for any size needs at most about 2·log₂(size)
of these hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from idtone.core.errors import ProofError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The hash of an empty list (RFC 6962, section 2.1)."""

Read = Callable[[Sequence[int]], Mapping[int, bytes]]
"""Reads the hashes at the given places in the list of complete subtrees."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Subtree:
    """A complete subtree, which covers the 2**`level` leaves starting at `number << level`."""

    level: int
    number: int

    @property
    def place(self) -> int:
        """Index of the subtree's hash in the stored list of hashes."""
        last = ((self.number + 1) << self.level) - 1
        return stored_hashes(last) + self.level

    @classmethod
    def at(cls, place: int) -> Subtree:
        """The subtree whose hash is at index `place` in the stored list of hashes."""
        last = place // 2  # each leaf before takes less than two hashes
        while stored_hashes(last + 1) <= place:
            last += 1
        level = place - stored_hashes(last)
        return cls(level, last >> level)


def stored_hashes(size: int) -> int:
    """Number of hashes stored for a tree of `size` leaves."""
    return 2 * size - size.bit_count()


class Frontier:
    """The right edge of a tree, which suffices to append leaves and compute the root.

    `subtrees` contains the hashes of the complete subtrees over the first `size` leaves, largest first.
    """

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """`subtrees` contains the hashes of the complete subtrees over the first `size` leaves, largest first."""
        self.size = size
        self._subtrees = list(subtrees)

    @classmethod
    def read(cls, size: int, read: Read) -> Frontier:
        """Read the right edge of a tree of `size` leaves from the stored hashes."""
        wanted = [subtree.place for subtree in _subtrees(0, size)]
        found = read(wanted)
        return cls(size, [found[place] for place in wanted])

    def copy(self) -> Frontier:
        return Frontier(self.size, self._subtrees)

    def append(self, leaf: bytes) -> list[bytes]:
        """Append a leaf hash, and return the hashes to add to the stored list."""
        return self.extend([leaf])

    def extend(self, leaves: Iterable[bytes]) -> list[bytes]:
        """Append leaf hashes in order, and return the hashes to add to the stored list."""
        grown: list[bytes] = []
        size, subtrees = self.size, self._subtrees
        for leaf in leaves:
            grown.append(leaf)
            number = size
            while number & 1:
                leaf = _sha256(b"\1" + subtrees.pop() + leaf).digest()
                grown.append(leaf)
                number >>= 1
            subtrees.append(leaf)
            size += 1
        self.size = size
        return grown

    def root(self) -> bytes:
        return _fold(self._subtrees)


def root(size: int, read: Read) -> bytes:
    """Root of a tree of `size` leaves (RFC 6962, section 2.1)."""
    return Frontier.read(size, read).root()


def inclusion_proof(index: int, size: int, read: Read) -> list[bytes]:
    """A leaf's audit path, from its sibling up to a child of the root (RFC 6962, section 2.1.1).

    Raises ProofError if the tree has no leaf `index`.
    """
    if not 0 <= index < size:
        raise ProofError("a tree of {size} leaves has no leaf {index}", size=size, index=index)
    return _hashes(_path(index, 0, size), read)


def consistency_proof(old: int, size: int, read: Read) -> list[bytes]:
    """The proof that a tree of `size` leaves begins with the tree of `old` leaves (RFC 6962, 2.1.2).

    The proof is empty if `old` is 0 or `size`. Raises ProofError if `old` exceeds `size`.
    """
    if not 0 <= old <= size:
        raise ProofError("a tree of {size} leaves never had {old}", size=size, old=old)
    return _hashes(_subproof(old, 0, size, True), read) if old else []


class PathLevel(NamedTuple):
    """One level of the path from a leaf to the root.

    `hash` combines the next lower level's hash with `sibling`. `is_left` is True if the sibling is on the left.
    """

    sibling: bytes
    is_left: bool
    hash: bytes


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root to which an inclusion proof leads from the leaf hash `leaf`.

    Raises ProofError if the proof has the wrong length for this leaf.
    """
    path = path_by_inclusion(index, size, leaf, proof)
    return path[-1].hash if path else leaf


def path_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> list[PathLevel]:
    """The levels of the path from a leaf hash to the root (RFC 9162, section 2.1.3.2).

    The last level's hash is the root. Raises ProofError if the proof has the wrong length for this leaf.
    """
    if not 0 <= index < size:
        raise ProofError("a tree of {size} leaves has no leaf {index}", size=size, index=index)
    number, last, reached = index, size - 1, leaf
    path: list[PathLevel] = []
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        is_left = bool(number & 1) or number == last
        reached = node_hash(sibling, reached) if is_left else node_hash(reached, sibling)
        path.append(PathLevel(sibling, is_left, reached))
        if is_left:
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        number >>= 1
        last >>= 1
    if last:
        raise ProofError("the inclusion proof is too short")
    return path


def check_consistency(old: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless the proof shows that the new tree begins with the old tree.

    See RFC 9162, section 2.1.4.2. Every tree begins with the empty tree.
    """
    if not 0 <= old <= size:
        raise ProofError("a tree of {size} leaves never had {old}", size=size, old=old)
    if old in (0, size):
        same = old_root == (EMPTY_ROOT if old == 0 else new_root)
        if proof or not same:
            raise ProofError("the roots differ" if not same else "the consistency proof is too long")
        return
    # The proof leaves out the old tree itself if that is complete.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofError("the consistency proof is too short")
    number, last = old - 1, size - 1
    while number & 1:
        number >>= 1
        last >>= 1
    old_reached = new_reached = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if number & 1 or number == last:
            old_reached = node_hash(sibling, old_reached)
            new_reached = node_hash(sibling, new_reached)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            new_reached = node_hash(new_reached, sibling)
        number >>= 1
        last >>= 1
    if last:
        raise ProofError("the consistency proof is too short")
    if old_reached != old_root or new_reached != new_root:
        raise ProofError("the consistency proof leads to other roots")


def _split(begin: int, end: int) -> int:
    """Index at which RFC 6962 splits a range of leaves: after the largest power of two below its length."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _path(index: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    if end - begin == 1:
        return
    middle = _split(begin, end)
    if index < middle:
        yield from _path(index, begin, middle)
        yield middle, end
    else:
        yield from _path(index, middle, end)
        yield begin, middle


def _subproof(old: int, begin: int, end: int, whole: bool) -> Iterator[tuple[int, int]]:
    """The ranges of leaves in a consistency proof.

    `whole` is True if the range begins where the old tree begins.
    """
    if old == end:
        if not whole:
            yield begin, end
        return
    middle = _split(begin, end)
    if old <= middle:
        yield from _subproof(old, begin, middle, whole)
        yield middle, end
    else:
        yield from _subproof(old, middle, end, False)
        yield begin, middle


def _subtrees(begin: int, end: int) -> Iterator[Subtree]:
    """Complete subtrees within a range of leaves, largest first.

    `begin` must be an index at which RFC 6962 splits some tree.
    """
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield Subtree(level, begin >> level)
        begin += 1 << level


def _hashes(ranges: Iterator[tuple[int, int]], read: Read) -> list[bytes]:
    """The hash over each range of leaves.

    `read` is called once for all ranges.
    """
    pieces = [[subtree.place for subtree in _subtrees(begin, end)] for begin, end in ranges]
    found = read([place for places in pieces for place in places])
    return [_fold([found[place] for place in places]) for places in pieces]


def _fold(subtrees: Sequence[bytes]) -> bytes:
    if not subtrees:
        return EMPTY_ROOT
    reached = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        reached = node_hash(left, reached)
    return reached
