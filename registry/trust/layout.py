"""Who signs what, and where it lies. Pure: the association's side and the members' agree here.

    root         (offline)  says whose keys the others are
    targets      (offline)  hands registry.yaml and suspensions.yaml on to two roles, and names the masters of the tones
    registry     (offline)  registry.yaml: members, licences, numbers, tones
    suspensions  (duty)     suspensions.yaml: what the police had stopped
    snapshot     (duty)     which versions belong together
    timestamp    (duty)     that this is the latest, as of now

Three sets of keys: who is on duty at night can stop a number, and can grant nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Keys(StrEnum):
    """The sets of keys, by who has them."""

    ROOT = "root"
    REGISTRY = "registry"
    DUTY = "duty"


@dataclass(frozen=True, slots=True)
class Role:
    """Which keys sign it, how many of them must, and for how long what they signed counts."""

    keys: Keys
    threshold: int
    lasts: timedelta

    def due(self, expires: datetime, now: datetime) -> bool:
        """Half of its term is over."""
        return expires - now < self.lasts / 2


REGISTRY: Final = "registry"
SUSPENSIONS: Final = "suspensions"
REGISTRY_FILE: Final = "registry.yaml"
SUSPENSIONS_FILE: Final = "suspensions.yaml"
DELEGATED: Final = {REGISTRY: REGISTRY_FILE, SUSPENSIONS: SUSPENSIONS_FILE}
"""Role → the one file that it may sign."""

KEYS: Final = {Keys.ROOT: 3, Keys.REGISTRY: 3, Keys.DUTY: 2}
"""How many a new repository has of each."""
ROLES: Final = {
    "root": Role(Keys.ROOT, 2, timedelta(days=730)),
    "targets": Role(Keys.ROOT, 2, timedelta(days=365)),
    REGISTRY: Role(Keys.REGISTRY, 2, timedelta(days=90)),
    SUSPENSIONS: Role(Keys.DUTY, 2, timedelta(days=30)),
    "snapshot": Role(Keys.DUTY, 2, timedelta(days=30)),
    "timestamp": Role(Keys.DUTY, 2, timedelta(days=7)),
}
"""One stolen key signs nothing."""

METADATA: Final = "metadata"
TARGETS: Final = "targets"
