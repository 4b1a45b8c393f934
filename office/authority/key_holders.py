"""The office's unpublished list of the people who hold the registry's keys.

The file `key-holders.json` maps each key id in force to its holder's name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.metadata import Metadata

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import read_if_there, writing
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys

from . import draft_metadata, group_shared_files
from .edition import Edition

FILE: Final = "key-holders.json"
NAMED: Final = "key-holder-named"
"""Name of the act in the office's ledger, which records the key id but not the holder's name."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A registry key and its holder's name.

    `signed` is True if the key has signed the waiting edition, or None if it has nothing to sign.
    """

    key_id: str
    holder: str
    signed: bool | None


@dataclass(frozen=True, slots=True)
class KeySetState:
    """State of a registry key set.

    `until` is the earliest expiry of the set's signatures. `missing` is the number of signatures that the waiting
    editions still need.
    """

    keys: Keys
    threshold: int
    until: datetime
    missing: int
    holders: Sequence[KeyState]


def key_states(
    published: Mapping[str, Metadata[Any]], waiting: Iterable[Edition], names: Mapping[str, str]
) -> list[KeySetState]:
    """Determine each key set's state from the published metadata and the editions waiting for signatures."""
    editions = list(waiting)
    return [_set_state(keys, published, editions, names) for keys in Keys]


def _set_state(
    keys: Keys, published: Mapping[str, Metadata[Any]], waiting: Sequence[Edition], names: Mapping[str, str]
) -> KeySetState:
    own = [name for name, role in tuf_roles.ROLES.items() if role.keys is keys]
    role = draft_metadata.delegated_role(own[0], published)
    signed = [set(edition.signers_by_role()[name]) for edition in waiting for name in own if name in edition.metadata]
    holders = [
        KeyState(key_id, names.get(key_id, ""), all(key_id in each for each in signed) if signed else None)
        for key_id in sorted(role.keyids)
    ]
    missing = max((role.threshold - len(each) for each in signed), default=0)
    until = min(published[name].signed.expires for name in own)
    return KeySetState(keys, role.threshold, until, max(0, missing), holders)


def key_holders(folder: Path) -> dict[str, str]:
    """Read the holders' names by key id, or return an empty dict if the file is missing. Raises TrustError."""
    path = folder / FILE
    octets = read_if_there(path, TrustError)
    if octets is None:
        return {}
    try:
        content = json.loads(octets)
        return {str(key): str(name) for key, name in content.items()}
    except (ValueError, AttributeError) as error:
        raise TrustError("{path}: is damaged; restore it from a backup", path=path) from error


def name_holder(folder: Path, key_id: str, holder: str, in_force: Iterable[str]) -> None:
    """Record the name of a key's holder, replacing any earlier name.

    Raises UsageError if the key is not in force, or TrustError if the list cannot be read or written.
    """
    now = set(in_force)
    if key_id not in now:
        raise UsageError("this key is not in force; open the page again")
    names = {key: name for key, name in key_holders(folder).items() if key in now} | {key_id: holder}
    path = folder / FILE
    with writing(path, TrustError):
        group_shared_files.write(path, json.dumps(names, ensure_ascii=False, indent=1).encode() + b"\n")
