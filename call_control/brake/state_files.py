"""The brake's state on disk, in two files next to the ledger that only the service's user can read.

`LEDGER.brake` holds the steps and the releases. It is small and is written after each change. `LEDGER.brake-lines` has
one line per subject, with its usual counts and windows. It is written rarely and when the service ends. Neither file
contains telephone numbers: subjects are tokens (`shared_stops.token_of`), and windows are counts and bitmaps.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.settings.fleet import read_fleet_key
from idtone.core.settings.settings import Settings
from idtone.ledger.keys.key_file import read_key
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.sqlite import path_of

from .shared_stops import Hold, brake_key, releases_of_json, token_of

log = logging.getLogger(__name__)

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class BrakeState:
    """The brake's steps and releases. `windows` maps the tokens of marked or slowed subjects to their windows."""

    holds: tuple[Hold, ...]
    released: Mapping[str, float]
    windows: Mapping[str, dict[str, Any]]


def key_of(settings: Settings) -> bytes:
    """The brake's key, derived from the fleet key or, without one, from the ledger's key.

    With a fleet key, all nodes have the same tokens. Raises DocumentError or LedgerError.
    """
    shared = settings.fleet.key_file
    return brake_key(read_fleet_key(shared) if shared else read_key(settings.ledger.key_file))


def state_path(settings: Settings) -> Path:
    ledger = path_of(settings.ledger.own_url())
    return ledger.with_name(f"{ledger.name}.brake")


def lines_path(settings: Settings) -> Path:
    return state_path(settings).with_suffix(".brake-lines")


def write_state(path: Path, key: bytes, state: Mapping[str, Any]) -> None:
    """Write the steps and releases atomically. If it raises OSError, the old content remains."""
    replace_private(path, json.dumps({"format": FORMAT, "key": _name_of(key), **state}).encode())


def read_state(path: Path, key: bytes | None = None) -> BrakeState:
    """Read the steps and releases. A missing file yields an empty state.

    Tokens made with another key are recalculated with `key`. In that case, stops of numbers and all windows are lost.
    Raises UsageError if the file cannot be read.
    """
    try:
        told = json.loads(path.read_bytes())
        holds = tuple(map(Hold.of_json, told["holds"]))
        released, windows = releases_of_json(told["released"]), dict(told.get("windows", {}))
    except FileNotFoundError:
        return BrakeState((), {}, {})
    except OSError as error:
        raise UsageError(
            "{path}: cannot be read: {reason}; run this as the service's user", path=path, reason=error.strerror
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            "{path}: is damaged; remove it, and see in `idtone ledger list` what the brake has stopped", path=path
        ) from error
    if key is None or told.get("key") == _name_of(key):
        return BrakeState(holds, released, windows)
    named = tuple(_renamed(holds, key))
    if len(named) < len(holds):
        log.error(
            "%s: another key made it (fleet.key_file), and %d stops of numbers are lost with it; the others count",
            path,
            len(holds) - len(named),
        )
    return BrakeState(named, {}, {})


def _renamed(holds: Iterable[Hold], key: bytes) -> Iterator[Hold]:
    for hold in holds:
        if hold.label:
            yield replace(hold, token=token_of(key, hold.kind, hold.label))


def write_lines(path: Path, key: bytes, lines: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the lines' usual counts and windows. Other threads can run between two lines. Raises OSError."""
    texts = [json.dumps({"format": FORMAT, "key": _name_of(key)})]
    texts += [json.dumps([token, kept], separators=(",", ":")) for token, kept in lines.items()]
    replace_private(path, "\n".join([*texts, ""]).encode())


def read_lines(path: Path, key: bytes) -> dict[str, dict[str, Any]]:
    """Read the lines' usual counts and windows.

    The result is empty if the file is missing, damaged or made with another key. The brake then starts observing each
    line from scratch.
    """
    try:
        head, *texts = path.read_text("utf-8").splitlines()
        if json.loads(head)["key"] != _name_of(key):
            return {}
        return {str(token): dict(kept) for token, kept in map(json.loads, texts)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        log.error("%s: cannot be used (%s); what is usual for each line is learned anew", path, type(error).__name__)
        return {}


def _name_of(key: bytes) -> str:
    """Fingerprint of a key, which reveals nothing about it."""
    return hashlib.sha256(b"name\0" + key).hexdigest()[:16]
