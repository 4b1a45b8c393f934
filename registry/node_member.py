"""Whether the registry knows the member that a node names as its own (`association.member`)."""

from __future__ import annotations

import logging
from typing import Final

from idtone.translation import Message

from .index import RegistryIndex

log = logging.getLogger(__name__)

REMEDY: Final = Message(
    "In idtone.yaml: `association: {{member: ID}}`, your id in the registry (`idtone registry show`)"
)


def member_trouble(member: str | None, registry: RegistryIndex | None) -> Message | None:
    """What is wrong, in words, without the member; None if nothing is. Without a registry, only whether one is set."""
    if member is None:
        return Message("association.member is not set: no licence counts, and calls get the notice or are refused")
    if registry is not None and member not in registry.members:
        return Message("the registry does not know association.member: every number counts as another member's")
    return None


class MemberWarning:
    """Logs what is wrong with the node's member, once for each registry."""

    def __init__(self, member: str | None) -> None:
        self._member = member
        self._logged: Message | None = None
        self._reviewed: tuple[RegistryIndex | None] | None = None

    def review(self, registry: RegistryIndex | None) -> None:
        if self._reviewed is not None and self._reviewed[0] is registry:
            return
        trouble, self._reviewed = member_trouble(self._member, registry), (registry,)
        if trouble and trouble != self._logged:
            log.error("%s. %s", trouble, REMEDY)
        self._logged = trouble
