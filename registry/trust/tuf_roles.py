"""TUF roles of the registry, with their keys and files, for the association and its members.

    root              (offline)  names the keys of targets, snapshot and timestamp
    targets           (offline)  delegates each of the three files to a role
    registry          (offline)  registry.yaml: members, licences, numbers, tones; and the masters of the tones
    suspensions       (duty)     suspensions.yaml: numbers suspended at the request of the police; and refusals.list
    never-originates  (duty)     never-originates.yaml: numbers that make no calls; without the file there is no list
    snapshot          (duty)     which versions belong together
    timestamp         (duty)     which snapshot is the latest

There are three sets of keys, so that the duty staff can stop a number's calls at night but cannot grant a licence.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Keys(StrEnum):
    """A set of signing keys."""

    ROOT = "root"
    REGISTRY = "registry"
    DUTY = "duty"


@dataclass(frozen=True, slots=True)
class Role:
    """The keys that sign a role and how long a signature is valid."""

    keys: Keys
    lasts: timedelta


REGISTRY: Final = "registry"
SUSPENSIONS: Final = "suspensions"
NEVER_ORIGINATES: Final = "never-originates"
REGISTRY_FILE: Final = "registry.yaml"
SUSPENSIONS_FILE: Final = "suspensions.yaml"
NEVER_ORIGINATES_FILE: Final = "never-originates.yaml"
DELEGATED: Final = {
    REGISTRY: REGISTRY_FILE,
    SUSPENSIONS: SUSPENSIONS_FILE,
    NEVER_ORIGINATES: NEVER_ORIGINATES_FILE,
}
"""Role → the file that it signs."""
OPTIONAL: Final = frozenset({NEVER_ORIGINATES_FILE})
"""Files that a repository may lack at first. Once published, a file must stay."""
OPERATORS_FILE: Final = "operators.json"
REFUSALS_FILE: Final = "refusals.list"
TONES: Final = "tones"
PATHS: Final = {
    REGISTRY: [REGISTRY_FILE, OPERATORS_FILE, f"{TONES}/*"],
    SUSPENSIONS: [SUSPENSIONS_FILE, REFUSALS_FILE],
    NEVER_ORIGINATES: [NEVER_ORIGINATES_FILE],
}
"""Role → all files that it may sign. `registry`: the registry, the public list made from it, and the masters that it
names. `suspensions`: the suspensions and the list of refused contractors. `never-originates`: the numbers that never
originate.
"""

KEYS: Final = {Keys.ROOT: 3, Keys.REGISTRY: 3, Keys.DUTY: 4}
"""The number of keys in each set of a new repository. Two duty keys sign at least every five days, because nodes warn
two days before the end. If there were only two duty officers and one was ill at New Year, all licences would expire.
"""
THRESHOLD: Final = 2
"""Number of keys in each set that must sign."""
ROLES: Final = {
    "root": Role(Keys.ROOT, timedelta(days=730)),
    "targets": Role(Keys.ROOT, timedelta(days=365)),
    REGISTRY: Role(Keys.REGISTRY, timedelta(days=90)),
    SUSPENSIONS: Role(Keys.DUTY, timedelta(days=30)),
    NEVER_ORIGINATES: Role(Keys.DUTY, timedelta(days=30)),
    "snapshot": Role(Keys.DUTY, timedelta(days=30)),
    "timestamp": Role(Keys.DUTY, timedelta(days=7)),
}
"""All roles. None can be signed with a single stolen key."""

METADATA: Final = "metadata"
TARGETS: Final = "targets"
KEPT: Final = "kept.json"
"""File in a member's cache that names the edition in use. Each new edition replaces it."""
