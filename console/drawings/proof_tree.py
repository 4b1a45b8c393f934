"""Drawing of a Merkle proof: the path from a leaf to the root, with the siblings."""

from collections.abc import Mapping
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
_CORNER: Final = 4
_ARC: Final = f"a{_CORNER} {_CORNER} 0 0 1 "
_AROUND: Final = (
    f"h{_BOX_WIDTH - 2 * _CORNER}{_ARC}{_CORNER} {_CORNER}v{_BOX - 2 * _CORNER}{_ARC}{-_CORNER} {_CORNER}"
    f"h{2 * _CORNER - _BOX_WIDTH}{_ARC}{-_CORNER} {-_CORNER}v{2 * _CORNER - _BOX}{_ARC}{_CORNER} {-_CORNER}z"
)
"""SVG path of a box with rounded corners, starting at the left end of its upper edge."""


@dataclass(frozen=True, slots=True)
class Node:
    """A box with the first digits of a hash. `x` is its center and `y` its upper edge."""

    x: float
    y: float
    text: str
    kind: str
    """Kind of node, which is also its CSS class: `leaf`, `root`, `path` or `sibling`."""


@dataclass(frozen=True, slots=True)
class ProofTree:
    width: float
    height: float
    nodes: tuple[Node, ...]
    boxes: Mapping[str, str]
    """SVG path data of the boxes, by kind of node."""
    lines: str
    """SVG path data of the lines between the boxes."""


def proof_tree(check: ProofCheck) -> ProofTree:
    """Drawing with the root at the top, the leaf at the bottom, and each sibling on its side of the path."""
    levels = len(check.path)

    def y(level: int) -> float:
        return _TOP + _ROW * (levels - level)

    reached = [check.leaf, *(each.hash for each in check.path)]
    nodes: list[Node] = []
    boxes: dict[str, str] = {}
    lines = ""
    for level, hash_ in enumerate(reached):
        kind = "leaf" if level == 0 else "root" if level == levels else "path"
        nodes.append(Node(_MIDDLE, y(level), hash_.hex()[:_DIGITS], kind))
        if level < levels:
            joined = check.path[level]
            aside = _MIDDLE + (-_ASIDE if joined.is_left else _ASIDE)
            nodes.append(Node(aside, y(level), joined.sibling.hex()[:_DIGITS], "sibling"))
            foot = y(level + 1) + _BOX
            lines += f"M{_MIDDLE:g} {y(level):g}V{foot:g}M{aside:g} {y(level):g}L{_MIDDLE:g} {foot:g}"
    for node in nodes:
        boxes[node.kind] = boxes.get(node.kind, "") + f"M{node.x - _BOX_WIDTH / 2 + _CORNER:g} {node.y:g}{_AROUND}"
    return ProofTree(WIDTH, y(0) + _BOX + _TOP, tuple(nodes), boxes, lines)
