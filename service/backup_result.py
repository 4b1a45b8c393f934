"""File with the results of the last backup and the last restore drill.

`idtone backup` writes the file. The metrics, `idtone status` and `idtone doctor` read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import BackupError
from idtone.core.files import replace_durably

_MODE: Final = 0o600
_SLACK: Final = 1.5
"""Number of periods after which a result is too old."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Extent of a ledger in the archives: how many steps and leaves, and the tree's root in hexadecimal."""

    steps: int
    leaves: int
    root: str


@dataclass(frozen=True, slots=True)
class MadeArchive:
    """An archive in the current chain, with the whole ledger or with what is new since the previous archive."""

    name: str
    sha256: str
    size: int
    made: datetime


@dataclass(frozen=True, slots=True)
class BackupResult:
    """Results of the last backup and of the last restore drill.

    `chain` lists the archives that the next archive continues. The first one has the whole ledger. `reached` maps each
    tree's name to its extent in the archives. `newest` is the end of the newest call in the archives. `drilled` is the
    time of the last successful drill, and `drilled_newest` is the time of the newest call that it restored.
    `drill_failed` is the time of the last drill if it failed; otherwise, None.
    """

    at: datetime
    chain: tuple[MadeArchive, ...] = ()
    reached: Mapping[str, Reached] = field(default_factory=dict)
    newest: datetime | None = None
    lasted_s: float = 0.0
    drilled: datetime | None = None
    drilled_newest: datetime | None = None
    drill_failed: datetime | None = None

    def age_s(self, now: datetime) -> float:
        """Age in seconds; negative if the clock was set back after the backup."""
        return (now - self.at).total_seconds()

    def after_drill(self, at: datetime, newest: datetime | None) -> BackupResult:
        return replace(self, drilled=at, drilled_newest=newest, drill_failed=None)

    def after_failed_drill(self, at: datetime) -> BackupResult:
        return replace(self, drill_failed=at)


def write(result: BackupResult, path: Path) -> None:
    """Write the result durably. Raises BackupError."""
    try:
        replace_durably(path, (json.dumps(asdict(result), default=_text) + "\n").encode(), _MODE)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> BackupError:
    return BackupError(
        "{path}: cannot be written: {reason}; run this as the service's user, or see backup.result and "
        "backup.directory",
        path=path,
        reason=error.strerror,
    )


def _text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat(timespec="milliseconds")


def read(path: Path) -> BackupResult | None:
    """Read the last result; None if the file is missing or unreadable.

    If it is None, the next archive will contain the whole ledger.
    """
    try:
        found = json.loads(path.read_bytes())
        return BackupResult(
            datetime.fromisoformat(found["at"]),
            tuple(_archive(each) for each in found["chain"]),
            {
                name: Reached(int(each["steps"]), int(each["leaves"]), str(each["root"]))
                for name, each in found["reached"].items()
            },
            *(_moment(found["newest"]), float(found["lasted_s"]), _moment(found["drilled"])),
            *(_moment(found["drilled_newest"]), _moment(found["drill_failed"])),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _archive(found: Mapping[str, Any]) -> MadeArchive:
    made = datetime.fromisoformat(found["made"])
    return MadeArchive(str(found["name"]), str(found["sha256"]), int(found["size"]), made)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def is_old(result: BackupResult | None, every_s: float, now: datetime) -> bool:
    """True if the next backup is overdue: the result is missing, too old or from the future."""
    return result is None or not -60 <= result.age_s(now) <= _SLACK * every_s
