"""Other nodes that share PostgreSQL with this one. Pages name them in their addresses."""

from idtone.core.settings.settings import Settings

from .fleet_live import FleetLive


def is_other_node(settings: Settings, name: str) -> bool:
    """True if `name` is another node's name. An empty name means this node."""
    return bool(name) and name != settings.node and settings.ledger.is_shared()


async def other_nodes(settings: Settings, live: FleetLive) -> list[str]:
    """Names of the other nodes. Empty if there are none or PostgreSQL cannot be read."""
    if not settings.ledger.is_shared():
        return []
    fleet = (await live.look()).fleet
    return sorted({node.name for node in fleet.nodes} - {settings.node}) if fleet else []
