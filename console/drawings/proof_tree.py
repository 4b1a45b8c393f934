"""The path of a leaf to the root of its tree, with the siblings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from idtone.ledger.verification.proof_check import ProofCheck

WIDTH: Final = 420
_ROW: Final = 40
_TOP: Final = 10
_BOX: Final = 24
_BOX_WIDTH: Final = 104
_MIDDLE: Final = WIDTH / 2
_ASIDE: Final = 140
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Node:
    """A box with the beginning of a hash, at its middle `x` and its top `y`."""

    x: float
    y: float
    text: str
    kind: str
    """`leaf`, `root`, `path` or `sibling`; a class of the style sheet."""


@dataclass(frozen=True, slots=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class ProofTree:
    width: float
    height: float
    box_width: float
    box_height: float
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]


def proof_tree(check: ProofCheck) -> ProofTree:
    """The root is at the top, the leaf at the bottom; a sibling is at the side from which it was joined."""
    levels = len(check.path)

    def y(level: int) -> float:
        return _TOP + _ROW * (levels - level)

    reached = [check.leaf, *(each.hash for each in check.path)]
    nodes: list[Node] = []
    lines: list[Line] = []
    for level, hash_ in enumerate(reached):
        kind = "leaf" if level == 0 else "root" if level == levels else "path"
        nodes.append(Node(_MIDDLE, y(level), hash_.hex()[:_DIGITS], kind))
        if level < levels:
            joined = check.path[level]
            aside = _MIDDLE + (-_ASIDE if joined.is_left else _ASIDE)
            nodes.append(Node(aside, y(level), joined.sibling.hex()[:_DIGITS], "sibling"))
            foot = y(level + 1) + _BOX
            lines += [Line(_MIDDLE, y(level), _MIDDLE, foot), Line(aside, y(level), _MIDDLE, foot)]
    return ProofTree(WIDTH, y(0) + _BOX + _TOP, _BOX_WIDTH, _BOX, tuple(nodes), tuple(lines))
