"""The command `idtone backup`, which makes an archive and reads it back."""

import json
import os
import pwd
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyrage

from idtone import __version__
from idtone.core.errors import BackupError, LedgerError
from idtone.core.files import draft, sync_folder
from idtone.core.settings.settings import Settings
from idtone.core.translation import translated
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.store.database import Database
from idtone.service import backup_result
from idtone.service.backup_result import BackupResult, MadeArchive, Reached

from . import archive
from .archive import ArchiveWriter
from .archive_folder import CHAIN_LIMIT, FORMAT, HEADER, digest_of, is_whole, name_of, remove_drafts, remove_old
from .backup_contents import LedgerPlace, files_in, ledgers_of, paths_by_role
from .ledger_packs import NOTHING, LedgerEnd, continues, packs

ENDS: Final = "ledgers.json"
"""Name of the member that records the end of each ledger's packs."""
_MODE: Final = 0o600
_SQLITE: Final = b"SQLite format 3\0"


def make(settings: Settings, config: Path | None) -> tuple[Path, BackupResult]:
    """Archive a node, read the archive back, and return its path with the result.

    Raises BackupError and LedgerError.
    """
    began_s, now = time.monotonic(), datetime.now(UTC)
    own = settings.backup
    last = backup_result.read(own.result)
    ledgers = [_Ledger(place, tree, path) for place in ledgers_of(settings) for tree, path in place.trees()]
    continued = last if last and _is_continued(settings, last, ledgers, now) else None
    name = name_of(settings.node, now, continued is None)
    before = continued.chain[-1] if continued else None
    header = {
        "format": FORMAT,
        "idtone": __version__,
        "node": settings.node,
        "made": now.isoformat(),
        "after": [before.name, before.sha256] if before else None,
        "places": {role: str(path) for role, path in paths_by_role(settings, config).items()}
        | {f"{place.role}/ledger.sqlite3": str(place.database) for place in ledgers_of(settings)},
        "ledgers": [each.to_json() for each in ledgers],
    }
    try:
        own.directory.mkdir(0o700, parents=True, exist_ok=True)
        remove_drafts(own.directory, settings.node)
        reached = continued.reached if continued else {}
        path, ends, digest = _written(settings, config, name, header, ledgers, reached)
        chain = (*(continued.chain if continued else ()), MadeArchive(name, digest, path.stat().st_size, now))
        newest = max((end.newest for end in ends.values() if end.newest is not None), default=None)
        result = BackupResult(
            now,
            chain,
            {**reached, **{tree: end.reached for tree, end in ends.items()}},
            None if newest is None else datetime.fromtimestamp(newest / 1_000_000, UTC),
            time.monotonic() - began_s,
            *((last.drilled, last.drilled_newest, last.drill_failed) if last else ()),
        )
        backup_result.write(result, own.result)
        remove_old(own.directory, chain, settings.node, own.keep, now)
    except OSError as error:
        raise BackupError(
            "{path}: {reason}; check backup.directory, its permissions and its disk",
            path=error.filename or own.directory,
            reason=error.strerror,
        ) from error
    return path, result


class _Ledger:
    """One of a ledger's trees, with its file."""

    def __init__(self, place: LedgerPlace, tree: str, path: Path) -> None:
        self.place, self.tree, self.path = place, tree, path
        self.database = Database.in_file(f"sqlite:///{path}")
        self.is_present = path == place.database

    def to_json(self) -> dict[str, Any]:
        key = own_key(self.place.settings, self.place.node, self.tree)
        return {
            "role": self.place.role, "node": self.place.node, "tree": self.tree, "key": str(key),
            "file": self.path.name, "present": self.is_present,
            "settings": self.place.settings.model_dump(mode="json", exclude={"password"}),
        }  # fmt: skip


def _is_continued(settings: Settings, last: BackupResult, ledgers: list[_Ledger], now: datetime) -> bool:
    """True if the next archive can continue the last one; False if it must be a full archive."""
    own = settings.backup
    if not is_whole(own.directory, last.chain) or len(last.chain) >= CHAIN_LIMIT:
        return False
    age = now - last.chain[0].made
    if not 0 <= age.total_seconds() < own.whole_every.total_seconds() or set(last.reached) - {e.tree for e in ledgers}:
        return False
    return all(each.tree not in last.reached or continues(each.database, last.reached[each.tree]) for each in ledgers)


def _written(
    settings: Settings,
    config: Path | None,
    name: str,
    header: dict[str, Any],
    ledgers: list[_Ledger],
    reached: dict[str, Reached] | Any,
) -> tuple[Path, dict[str, LedgerEnd], str]:
    """Write the archive as a draft, and read it back with a key that only this process has.

    Raises OSError.
    """
    own = pyrage.x25519.Identity.generate()
    recipients = [*archive.recipients_of(settings.backup.recipients), own.to_public()]
    target = settings.backup.directory / name
    with draft(target, _MODE) as new:
        with archive.write(new.file, recipients) as writer:
            writer.add(HEADER, json.dumps(header).encode())
            # The ledgers come first: they must hold nothing that the keys of a later day seal.
            ends = {each.tree: _add_ledger(writer, number, each, reached) for number, each in enumerate(ledgers)}
            writer.add(ENDS, json.dumps({tree: end.to_json() for tree, end in ends.items()}).encode())
            for role, path in paths_by_role(settings, config).items():
                for inner, file in files_in(role, path):
                    _add_file(writer, inner, file)
        if [each.to_json() for each in ledgers] != _ledgers_now(settings):
            raise BackupError("a ledger was set aside while it was backed up; run this again")
        new.flush_to_disk()
        for member in archive.members(new.path, [own]):
            member.name  # noqa: B018 - reading it to its end is the proof
        digest = digest_of(new.path)
        new.put()
    sync_folder(target.parent)
    return target, ends, digest


def _ledgers_now(settings: Settings) -> list[dict[str, Any]]:
    found = [_Ledger(place, tree, path) for place in ledgers_of(settings) for tree, path in place.trees()]
    return [each.to_json() for each in found]


def _add_ledger(writer: ArchiveWriter, number: int, ledger: _Ledger, reached: Any) -> LedgerEnd:
    """Add a ledger's packs, and return the point that they reach.

    Raises LedgerError if the current ledger cannot be read. If a ledger that was set aside is damaged, only warns.
    """
    ended: list[LedgerEnd] = []
    start = reached.get(ledger.tree, NOTHING)
    try:
        for first, pack in packs(ledger.database, start, ended):
            writer.add(f"packs/{number}/{first:012}.json", pack)
    except LedgerError as error:
        if ledger.is_present:
            raise
        print(translated("not in the archive: {error}", error=error), file=sys.stderr)
        return LedgerEnd(start, None, None)
    return ended[0]


def _add_file(writer: ArchiveWriter, role: str, path: Path) -> None:
    """Add a consistent copy of a file.

    Databases are copied with SQLite's own backup. A file that has disappeared is omitted. Raises OSError.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            is_database = file.read(len(_SQLITE)) == _SQLITE
            if not is_database:
                file.seek(0)
                octets = file.read()
                writer.add(role, octets, status.st_mode & 0o777, _user(status.st_uid))
                return
    except FileNotFoundError:
        return
    with tempfile.TemporaryFile() as copy:
        with (
            closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(":memory:")) as target,
        ):
            source.backup(target)
            copy.write(target.serialize())
        size = copy.tell()
        copy.seek(0)
        writer.add_file(role, copy, size, status.st_mode & 0o777, _user(status.st_uid))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
