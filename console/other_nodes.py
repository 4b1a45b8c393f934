"""The other nodes that share PostgreSQL with this one. Pages have the name of a node in their address."""

from idtone.core.settings.settings import Settings

from .fleet_live import FleetLive


def is_other_node(settings: Settings, name: str) -> bool:
    """True if the name is that of another node. The empty name means this node."""
    return bool(name) and name != settings.node and settings.ledger.is_shared()


async def other_nodes(settings: Settings, live: FleetLive) -> list[str]:
    """The nodes that a page offers; empty if there are none, or if PostgreSQL cannot be read."""
    if not settings.ledger.is_shared():
        return []
    fleet = (await live.look()).fleet
    return sorted({node.name for node in fleet.nodes} - {settings.node}) if fleet else []
