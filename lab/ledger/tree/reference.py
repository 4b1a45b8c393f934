"""The Merkle tree as RFC 6962 defines it, slow and literal, and the leaves of Certificate Transparency's tests."""

from collections.abc import Mapping, Sequence

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash

SIGNER = Signer("pbx.example/ledger", bytes(range(32)))

LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(each)
    for each in """
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
    fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
    aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
    d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
    4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
    76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
    ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
    5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
    """.split()
]
"""Roots of the trees of the first 0, 1, 2, … leaves."""


def root(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree: MTH of section 2.1."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = _largest_power_below(len(leaves))
    return node_hash(root(leaves[:k]), root(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Audit path: PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _largest_power_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Consistency proof: PROOF of section 2.1.2."""
    return _subproof(m, leaves, True)


def _subproof(m: int, leaves: Sequence[bytes], complete: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if complete else [root(leaves)]
    k = _largest_power_below(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], complete), root(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], False), root(leaves[:k])]


def _largest_power_below(n: int) -> int:
    return 1 << (n - 1).bit_length() - 1


class Stored:
    """Stored hashes of a tree, in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.frontier = Frontier()
        self.hashes: list[bytes] = []
        for leaf in leaves:
            self.hashes += self.frontier.append(leaf_hash(leaf))

    def read(self, places: Sequence[int]) -> Mapping[int, bytes]:
        return {place: self.hashes[place] for place in places}


def head(size: int, root: bytes = b"") -> Checkpoint:
    """A checkpoint of the log that `SIGNER` signs."""
    return Checkpoint(SIGNER.key.name, size, root or ROOTS[size])


def signed(checkpoint: Checkpoint, signer: Signer = SIGNER) -> Note:
    return Note(checkpoint.text, (signer.sign(checkpoint.text),))
