"""Who signs what, and where it lies. Pure: the association's side and the members' agree here.

    root         (offline)  says whose keys the others are
    targets      (offline)  hands registry.yaml and suspensions.yaml on to two roles
    registry     (offline)  registry.yaml: members, licences, numbers, tones; and the masters of the tones
    suspensions  (duty)     suspensions.yaml: what the police had stopped
    snapshot     (duty)     which versions belong together
    timestamp    (duty)     that this is the latest, as of now

Three sets of keys: who is on duty at night can stop a number, and can grant nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Keys(StrEnum):
    """The sets of keys, by who has them."""

    ROOT = "root"
    REGISTRY = "registry"
    DUTY = "duty"


@dataclass(frozen=True, slots=True)
class Role:
    """Which keys sign it, and for how long what they signed counts."""

    keys: Keys
    lasts: timedelta


REGISTRY: Final = "registry"
SUSPENSIONS: Final = "suspensions"
REGISTRY_FILE: Final = "registry.yaml"
SUSPENSIONS_FILE: Final = "suspensions.yaml"
DELEGATED: Final = {REGISTRY: REGISTRY_FILE, SUSPENSIONS: SUSPENSIONS_FILE}
"""Role → the file that it is there for."""
OPERATORS_FILE: Final = "operators.json"
TONES: Final = "tones"
PATHS: Final = {REGISTRY: [REGISTRY_FILE, OPERATORS_FILE, f"{TONES}/*"], SUSPENSIONS: [SUSPENSIONS_FILE]}
"""Role → all that it may sign: the registry, the public list that is made of it, and the masters that it names."""

KEYS: Final = {Keys.ROOT: 3, Keys.REGISTRY: 3, Keys.DUTY: 2}
"""How many a new repository has of each."""
THRESHOLD: Final = 2
"""How many of each must sign."""
ROLES: Final = {
    "root": Role(Keys.ROOT, timedelta(days=730)),
    "targets": Role(Keys.ROOT, timedelta(days=365)),
    REGISTRY: Role(Keys.REGISTRY, timedelta(days=90)),
    SUSPENSIONS: Role(Keys.DUTY, timedelta(days=30)),
    "snapshot": Role(Keys.DUTY, timedelta(days=30)),
    "timestamp": Role(Keys.DUTY, timedelta(days=7)),
}
"""One stolen key signs nothing."""

METADATA: Final = "metadata"
TARGETS: Final = "targets"
