"""State that `idtone status` shows while no service runs, from the ledger, the registry and the suspensions."""

from datetime import UTC, datetime
from typing import Any

from idtone.core.errors import IdtoneError
from idtone.core.settings.settings import LedgerSettings, RegistrySettings, Settings
from idtone.core.translation import Message
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.registry.sources import load_registry
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path

from .ledger_disk_space import LedgerDiskSpace
from .suspension_keeper import summary


def state_from_files(settings: Settings) -> dict[str, Any]:
    """State of the ledger, the registry and this node's own suspensions, from local files only."""
    return {
        "ledger": _ledger(settings.ledger),
        "registry": _registry(settings.registry),
        "suspensions": {"own": _own_suspensions(settings)},
    }


def _own_suspensions(settings: Settings) -> list[dict[str, Any]]:
    try:
        return summary(read_suspensions(suspensions_path(settings)), datetime.now(UTC))
    except IdtoneError:
        return []  # `idtone doctor` reports it


def _ledger(settings: LedgerSettings) -> dict[str, Any]:
    path = path_of(settings.own_url())
    try:
        if not path.exists():
            return {"path": str(path), "trouble": Message("it does not exist yet")}
        with LedgerReader.open(settings.own_url()) as reader:
            steps = reader.newest_place()
    except (IdtoneError, OSError) as error:
        return {"path": str(path), "trouble": str(error)}
    room = LedgerDiskSpace(settings.own_url()).free_space_and_days()
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return {
        "path": str(path), "steps": steps, "written": written, "free_bytes": room.free_bytes, "room_days": room.days,
        "trouble": "",
    }  # fmt: skip


def _registry(settings: RegistrySettings) -> dict[str, Any]:
    """State of the registry from local files, without contacting its source."""
    found: dict[str, Any] = {"path": settings.source, "version": None, "expires": None, "trouble": ""}
    try:
        root = settings.root_file()
        if root is None:
            registry = load_registry(settings.file())
            return found | {"version": registry.version, "expires": registry.expires.isoformat()}
        from idtone.registry.trust.publication_client import (
            PublicationClient,  # imports TUF, which an unsigned registry does not need
        )

        kept = PublicationClient(root, settings.source, settings.cache).last_good()
    except IdtoneError as error:
        return found | {"trouble": str(error)}
    if kept is None:
        return found | {"trouble": Message("it was never fetched")}
    return found | {"path": str(settings.cache), "expires": kept.expires.isoformat()}
