"""A node's folder of backup archives: their names, their order in a chain, and the removal of old ones."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import BackupError
from idtone.service.backup_result import MadeArchive

from .archive import Identity, members

FORMAT: Final = 1
HEADER: Final = "backup.json"
"""Name of the first member of each archive."""
CHAIN_LIMIT: Final = 400
"""Name of a new archive; names sort by time."""
_NAME: Final = re.compile(r"idtone-(?P<node>.+)-(?P<made>[0-9]{8}T[0-9]{12}Z)-(whole|more)\.age")


def name_of(node: str, made: datetime, whole: bool) -> str:
    """The name for a new archive. Names sort by time."""
    node = re.sub(r"[^A-Za-z0-9._-]", "_", node)
    return f"idtone-{node}-{made.astimezone(UTC):%Y%m%dT%H%M%S%f}Z-{'whole' if whole else 'more'}.age"


def made_at(name: str) -> datetime | None:
    """Time in an archive's name; None for any other file name."""
    match = _NAME.fullmatch(name)
    return match and datetime.strptime(match["made"], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)


def archives_in(folder: Path) -> list[Path]:
    """All archives in a folder, the oldest first.

    Raises BackupError.
    """
    try:
        found = [(made, path) for path in folder.iterdir() if (made := made_at(path.name))]
    except OSError as error:
        raise BackupError("{path}: {reason}", path=folder, reason=error.strerror) from error
    return [path for _, path in sorted(found)]


def digest_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal.

    Raises OSError.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(folder: Path, chain: Sequence[MadeArchive]) -> bool:
    """True if all archives of a chain exist with their original sizes.

    Their content is not read; only a drill does that.
    """
    sizes = [path.stat().st_size if (path := folder / each.name).exists() else -1 for each in chain]
    return bool(chain) and sizes == [each.size for each in chain]


def remove_old(folder: Path, chain: Sequence[MadeArchive], node: str, keep: timedelta, now: datetime) -> list[Path]:
    """Remove a node's archives that are older than `keep` and not in the chain, and return their paths.

    Raises OSError.
    """
    own = {each.name for each in chain}
    prefix = _prefix(node)
    gone = []
    for path in folder.iterdir():
        made = made_at(path.name)
        if made and path.name.startswith(prefix) and path.name not in own and now - made > keep:
            path.unlink()
            gone.append(path)
    return gone


def remove_drafts(folder: Path, node: str) -> None:
    """Remove the drafts of killed runs, before a new one needs their room. No other run may be in progress. Raises
    OSError.
    """
    for path in folder.iterdir():
        if path.name.startswith(f".{_prefix(node)}"):
            path.unlink()


def _prefix(node: str) -> str:
    return name_of(node, datetime(2000, 1, 1, tzinfo=UTC), True).partition("-20000101T")[0] + "-2"


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a backup archive.

    `after` has the name and SHA-256 of the previous archive in the chain. `places` maps roles to paths.
    """

    node: str
    made: datetime
    after: tuple[str, str] | None
    places: dict[str, str]
    ledgers: list[dict[str, Any]]

    @classmethod
    def parse(cls, octets: bytes) -> Header:
        """Parse an archive's header from JSON.

        Raises BackupError.
        """
        try:
            found = json.loads(octets)
            if found["format"] != FORMAT:
                raise BackupError("a newer idtone made this archive; install that version, and restore by it")
            after = found["after"]
            return cls(
                found["node"],
                datetime.fromisoformat(found["made"]),
                None if after is None else (after[0], after[1]),
                dict(found["places"]),
                list(found["ledgers"]),
            )
        except (ValueError, LookupError, TypeError) as error:
            raise BackupError("this file is not an archive of idtone") from error


def header_of(path: Path, identities: Sequence[Identity]) -> Header:
    """Read an archive's header.

    Raises BackupError.
    """
    reading = members(path, identities)
    first = next(reading, None)
    octets = first.octets() if first and first.name == HEADER else b""
    reading.close()  # type: ignore[attr-defined]
    return Header.parse(octets)


def chain_of(source: Path, node: str | None, identities: Sequence[Identity]) -> list[Path]:
    """The archives from which a state can be restored, the full archive first.

    `source` is a folder, whose newest state is meant, or a single archive. Raises BackupError if an archive is missing,
    or if its digest differs from the one in the next archive's header.
    """
    folder, path = source, source
    if source.is_dir():
        found = archives_in(folder)
        nodes = sorted({match["node"] for each in found if (match := _NAME.fullmatch(each.name))})
        if node is not None:
            found = [each for each in found if each.name.startswith(_prefix(node))]
        elif len(nodes) > 1:
            raise BackupError(
                "{path}: archives of several nodes: {nodes}; choose one by --node", path=folder, nodes=", ".join(nodes)
            )
        if not found:
            raise BackupError("{path}: there is no archive of idtone in it", path=folder)
        path = found[-1]
    else:
        folder = source.parent
    chain = [path]
    while (after := header_of(chain[0], identities).after) is not None:
        name, sha256 = after
        before = folder / Path(name).name
        if not before.exists():
            raise BackupError(
                "{path}: it continues {name}, which is not in the folder; fetch that file too", path=chain[0], name=name
            )
        if digest_of(before) != sha256:
            raise BackupError(
                "{path}: it is not the file that {later} continues; fetch it from another copy, or restore an "
                "earlier archive by its name",
                path=before,
                later=chain[0].name,
            )
        chain.insert(0, before)
        if len(chain) > 10 * CHAIN_LIMIT:
            raise BackupError("{path}: its archives continue each other in a circle", path=path)
    return chain
