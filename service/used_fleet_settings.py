"""Record of the fleet settings that this node used last, in a file next to the ledger.

An older edition, such as a forgotten copy, is rejected, because it would undo later changes by the operator. To go back
to old settings on purpose, sign the old content with a new version.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from idtone.core.errors import DocumentError, Fault, LedgerError
from idtone.core.files import read_if_there
from idtone.core.settings.settings import Settings, SharedSettings
from idtone.core.settings.shared_settings import VERSION_LINE
from idtone.core.translation import Message
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.sqlite import path_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UsedFleetSettings:
    """Version and SHA-256 of the fleet settings that a node uses."""

    version: int
    sha256: str


def record_of(settings: Settings) -> Path:
    """File next to the ledger that records the last used edition."""
    ledger = path_of(settings.ledger.own_url())
    return ledger.with_name(f"{ledger.name}.settings")


def last_used(settings: Settings) -> UsedFleetSettings | None:
    """Edition of the fleet settings that this node used last, or None. Raises LedgerError if the file is unreadable."""
    path = record_of(settings)
    octets = read_if_there(path, LedgerError)
    if octets is None:
        return None
    try:
        found = json.loads(octets)
        return UsedFleetSettings(int(found["version"]), str(found["sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(
            "{path}: is damaged; if fleet.settings is your newest edition, remove {path}", path=path
        ) from error


def settings_objection(shared: SharedSettings, used: UsedFleetSettings | None) -> Fault | None:
    """Fault if the edition must not follow the last used one; None if it may."""
    if used is None or shared.version > used.version:
        return None
    if (shared.version, shared.sha256) == (used.version, used.sha256):
        return None
    if shared.version == used.version:
        problem = Message(
            "is {version}, and this node has used another edition with this version", version=used.version
        )
    else:
        problem = Message(
            "is {version}, and this node has used version {used}", version=shared.version, used=used.version
        )
    remedy = Message("Copy the newest edition here; to go back to an older one, sign its content with a new version")
    return Fault(str(shared.file), VERSION_LINE, 1, "version", problem, remedy)


def refuse_older(settings: Settings) -> None:
    """Raise DocumentError if the fleet settings are older than the last used edition. Also raises LedgerError."""
    if settings.shared and (fault := settings_objection(settings.shared, last_used(settings))):
        raise DocumentError([fault])


def record(settings: Settings) -> None:
    """Record the edition of the fleet settings in use. Errors are only logged, so the node still serves."""
    shared = settings.shared
    if shared is None:
        return
    used = UsedFleetSettings(shared.version, shared.sha256)
    try:
        if last_used(settings) == used:
            return
        text = json.dumps({"version": used.version, "sha256": used.sha256})
        replace_private(record_of(settings), f"{text}\n".encode())
    except (LedgerError, OSError) as error:
        log.error("version %d of the fleet's settings is used, and cannot be recorded: %s", shared.version, error)
    else:
        log.info("uses version %d of the fleet's settings, signed %s", shared.version, shared.signed)
