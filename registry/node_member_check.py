"""Checks that the registry knows the node's member and licenses the sounds in its policy."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from idtone.core.calls import Direction, Party
from idtone.core.decision import time_by
from idtone.core.translation import Message

from .index import RegistryIndex

log = logging.getLogger(__name__)

REMEDY: Final = Message(
    "In idtone.yaml: `association: {{member: ID}}`, your id in the registry (`idtone registry show`)"
)


def member_trouble(member: str | None, registry: RegistryIndex | None) -> Message | None:
    """Description of a problem with `association.member`, or None. It does not name the member.

    Without a registry, only a missing setting is a problem.
    """
    if member is None:
        return Message("association.member is not set: no licence counts, and calls get the notice or are refused")
    if registry is not None and member not in registry.members:
        return Message("the registry does not know association.member: every number counts as another member's")
    return None


Tones = Mapping[tuple[Direction, Party], str]

TONES_REMEDY: Final = Message(
    "Write a licensed sound into policy.tones (`idtone registry show` names them), or null for the best licence's"
)


def tones_trouble(tones: Tones, member: str | None, registry: RegistryIndex | None, now: datetime) -> Message | None:
    """Description of unlicensed sounds in `policy.tones`; None if there are none or no registry is known."""
    if member is None or registry is None or member not in registry.members:
        return None
    wrong = [
        f"{direction}.{party}: {tone}"
        for (direction, party), tone in tones.items()
        if tone not in registry.licensed_tones(member, direction, now)
    ]
    if not wrong:
        return None
    return Message(
        "policy.tones names sounds that no valid licence covers, so calls get the notice: {names}",
        names=", ".join(sorted(wrong)),
    )


class MemberWarning:
    """Logs problems with the node's member or its sounds, once per registry."""

    def __init__(self, member: str | None, tones: Tones) -> None:
        self._member = member
        self._tones = tones
        self._logged: Message | None = None
        self._reviewed: tuple[RegistryIndex | None] | None = None

    def review(self, registry: RegistryIndex | None) -> None:
        if self._reviewed is not None and self._reviewed[0] is registry:
            return
        self._reviewed = (registry,)
        now = time_by(registry, datetime.now(UTC))
        trouble, how = member_trouble(self._member, registry), REMEDY
        if trouble is None:
            trouble, how = tones_trouble(self._tones, self._member, registry, now), TONES_REMEDY
        if trouble and trouble != self._logged:
            log.error("%s. %s", trouble, how)
        self._logged = trouble
