"""Key rotations whose packages are waiting for signatures, stored in `history/rotations.json` by key set.

The next edition signs every history line, so no line may state a rotation that was never signed. A rotation enters the
history only when its keys are in force. Several packages can be waiting for one key set; publishing one voids the
others.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import TrustError
from idtone.core.files import read_if_there, writing
from idtone.core.translation import Message, template
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys

from . import draft_metadata, group_shared_files
from .history import HistoryEntry
from .signed_repository import SignedRepository

FILE: Final = "rotations.json"
_NEW: Final = template("new key {key}")
_STAYS: Final = template("the same key {key}")
_ENDS: Final = template("no longer the key {key}")


def describe_rotation(before: Collection[str], after: Sequence[str]) -> tuple[Message, ...]:
    """Describe a key rotation for the history, from the key ids before and after it."""
    return (
        *(Message(_STAYS if keyid in before else _NEW, key=keyid) for keyid in after),
        *(Message(_ENDS, key=keyid) for keyid in sorted(before) if keyid not in after),
    )


def keys_in_force(repository: SignedRepository, keys: Keys) -> set[str]:
    """Ids of a key set's published keys. Raises TrustError."""
    signs = next(role for role, each in tuf_roles.ROLES.items() if each.keys is keys)
    return set(draft_metadata.delegated_role(signs, repository.all_current_metadata()).keyids)


def history_role_of(keys: Keys) -> str:
    """Role whose history records a key set's rotations."""
    return tuf_roles.SUSPENSIONS if keys is Keys.DUTY else tuf_roles.REGISTRY


def store_rotation(folder: Path, keys: Keys, entry: HistoryEntry) -> None:
    """Store a rotation's history entry until a rotation of the same key set is published.

    `folder` is the authority's folder. Raises TrustError.
    """
    waiting = _read(folder)
    others = [each for each in waiting.get(keys.value, ()) if _after(each) != _after(entry)]
    _write(folder, {**waiting, keys.value: [*others, entry]})


def record_published_rotations(
    folder: Path, repository: SignedRepository, record: Callable[[str, HistoryEntry], None], now: datetime
) -> None:
    """Pass each waiting rotation whose keys are now in force to `record`, with the role of its history.

    Raises TrustError.
    """
    waiting = _read(folder)
    if not waiting:
        return
    left = {}
    for name, entries in waiting.items():
        now_in_force = keys_in_force(repository, Keys(name))
        published = next((each for each in entries if _after(each) == now_in_force), None)
        if published:
            record(history_role_of(Keys(name)), published.model_copy(update={"at": now}))
        else:
            left[name] = entries
    if left != waiting:
        _write(folder, left)


def _after(entry: HistoryEntry) -> set[object]:
    return {each.fields["key"] for each in entry.what if isinstance(each, Message) and each.template != _ENDS}


def _path(folder: Path) -> Path:
    return folder / "history" / FILE


def _read(folder: Path) -> dict[str, list[HistoryEntry]]:
    path = _path(folder)
    octets = read_if_there(path, TrustError)
    if octets is None:
        return {}
    try:
        content = json.loads(octets)
        return {
            Keys(name).value: [HistoryEntry.model_validate(each) for each in entries]
            for name, entries in content.items()
        }
    except (ValueError, ValidationError, AttributeError) as error:
        raise TrustError("{path}: is damaged; restore it from a backup", path=path) from error


def _write(folder: Path, waiting: dict[str, list[HistoryEntry]]) -> None:
    path = _path(folder)
    content = {name: [each.to_json() for each in entries] for name, entries in waiting.items()}
    with writing(path, TrustError):
        group_shared_files.write(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")
