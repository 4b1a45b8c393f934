"""Finds the nodes that use a wanted registry and its suspensions."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from .findings import newest_registry
from .node_states import Edition, Fleet, Node


@dataclass(frozen=True, slots=True)
class Wanted:
    """The registry that nodes should use: at least `version`, with suspensions that have a given SHA-256.

    `suspensions` may be the beginning of the SHA-256. If neither is given, the newest registry on any node is wanted.
    """

    version: int | None = None
    suspensions: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A node that uses the wanted registry.

    `taken` is the time, by the node's clock, when it began to use the registry.
    """

    node: str
    version: int
    suspensions_sha256: str | None
    taken: datetime | None


@dataclass(frozen=True, slots=True)
class Spread:
    """The nodes that use a registry and have written its suspensions for Asterisk, and the nodes that do not."""

    confirmed: tuple[Confirmation, ...]
    missing: tuple[str, ...]


def spread(fleet: Fleet, wanted: Wanted, nodes: Collection[str] = ()) -> Spread:
    """Find which nodes use a registry.

    If `nodes` is empty, all nodes that have reported count. A named node that has never reported is missing.
    """
    there = [node for node in fleet.nodes if not nodes or node.name in nodes]
    newest = newest_registry(fleet)
    edition = newest[1].registry.edition if newest else None
    confirmed = [found for node in there if (found := _confirmation(node, wanted, edition))]
    names = {each.node for each in confirmed}
    missing = dict.fromkeys([*(node.name for node in there), *nodes])
    return Spread(tuple(confirmed), tuple(name for name in missing if name not in names))


def _confirmation(node: Node, wanted: Wanted, newest: Edition | None) -> Confirmation | None:
    """The node's confirmation; None if the node does not use the registry."""
    state = node.present
    if state is None or not state.fallback.current or not state.registry.version:
        return None
    registry = state.registry
    if wanted.version is not None and registry.version < wanted.version:
        return None
    if wanted.suspensions is not None and not (registry.suspensions_sha256 or "").startswith(wanted.suspensions):
        return None
    if wanted == Wanted() and registry.edition != newest:
        return None
    return Confirmation(node.name, registry.version, registry.suspensions_sha256, registry.taken)
