"""File with the result of the last canary call.

`idtone canary` writes the file. The metrics, `idtone status` and `idtone doctor` read it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from idtone.core import files
from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message, template

_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o770
_SLACK: Final = 1.5
"""Number of periods after which a result is too old. The next call may wait for a lock, a trunk or a busy machine."""


class CanaryFault(StrEnum):
    """Reason why a canary call did not deliver the expected sound."""

    SUSPENDED = "number-suspended"
    REGISTRY = "registry"
    NOT_PLACED = "not-placed"
    NO_RECORD = "no-record"
    NOT_CONNECTED = "not-connected"
    OTHER_SOUND = "other-sound"
    NOT_ANSWERED_HERE = "not-answered-here"
    SILENCE = "silence"
    SOUND = "sound"
    LEVEL = "level"
    EVIDENCE = "evidence"
    CLOCK = "clock"


_WORDS: Final[Mapping[CanaryFault, str]] = {
    CanaryFault.SUSPENDED: template("a number of the canary is suspended, so it was not called; name another number"),
    CanaryFault.REGISTRY: template("without the registry it is not known whether the numbers are suspended: {detail}"),
    CanaryFault.NOT_PLACED: template("Asterisk did not place the call: {detail}"),
    CanaryFault.NO_RECORD: template(
        "the evidence has no whole record of the call; see whether the service runs (idtone doctor)"
    ),
    CanaryFault.NOT_CONNECTED: template("the call was not connected: {detail}"),
    CanaryFault.OTHER_SOUND: template("the hook did not decide on the expected sound: {detail}"),
    CanaryFault.NOT_ANSWERED_HERE: template(
        "the call was answered, but not by the answering leg: see where the trunk leads the number "
        "(idtone-canary-answer)"
    ),
    CanaryFault.SILENCE: template("only silence arrived: see what becomes of the media between here and there"),
    CanaryFault.SOUND: template("{detail}"),
    CanaryFault.LEVEL: template("the sound arrived at {detail} dBm0, which differs too much from its own level"),
    CanaryFault.EVIDENCE: template("the sound arrived, and its record does not say so: {detail}"),
    CanaryFault.CLOCK: template("the machine's clock moved by {detail} s during the call"),
}


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """Result of a canary call, without telephone numbers.

    `verdict` is the verdict on the sound that arrived (`conforms`, `present`, `cannot-tell`, `absent`). `fault` is None
    if the call succeeded, and `detail` explains the fault. `expected` is the expected sound's profile, or None if
    unknown. `call_id`, `outcome`, `reason` and `status` are copied from the call's evidence and are empty if there is
    none.
    """

    at: datetime
    verdict: str
    fault: CanaryFault | None = None
    detail: str = ""
    expected: str | None = None
    call_id: str = ""
    outcome: str = ""
    reason: str = ""
    status: str = ""
    level_dbm0: float | None = None
    lasted_s: float = 0.0

    @property
    def good(self) -> bool:
        return self.fault is None

    @property
    def says(self) -> Message:
        """Description of the result for people."""
        if self.fault is None:
            return Message("the expected sound {profile} arrived, and its record says so", profile=self.expected)
        return Message(_WORDS[self.fault], detail=self.detail)

    def to_json(self) -> dict[str, Any]:
        return {
            "good": self.good,
            **asdict(self),
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "says": self.says,
        }

    def age_s(self, now: datetime) -> float:
        """Age in seconds; negative if the clock was set back after the call."""
        return (now - self.at).total_seconds()


def write(result: CanaryResult, path: Path) -> None:
    """Write the result durably. Raises UsageError."""
    try:
        files.replace_durably(path, (json.dumps(result.to_json(), ensure_ascii=False) + "\n").encode(), _MODE)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "{path}: cannot be written: {reason}; run this as the service's user, or see canary.result",
        path=path,
        reason=error.strerror,
    )


def read(path: Path) -> CanaryResult | None:
    """Read the last result; None if the file is missing or unreadable."""
    try:
        found = json.loads(path.read_bytes())
        fault = found["fault"]
        return CanaryResult(
            datetime.fromisoformat(found["at"]),
            str(found["verdict"]),
            None if fault is None else CanaryFault(fault),
            *(found[name] for name in _PLAIN),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


_PLAIN: Final = ("detail", "expected", "call_id", "outcome", "reason", "status", "level_dbm0", "lasted_s")


def is_old(result: CanaryResult | None, every_s: float, now: datetime) -> bool:
    """True if the next call is overdue: the result is missing, too old or from the future."""
    return result is None or not -_SLACK * every_s <= result.age_s(now) <= _SLACK * every_s


def make_folder(settings: Settings) -> None:
    """Create the folder for the recordings. Raises UsageError.

    It gets the group of the sounds' folder, so that Asterisk can write to it.
    """
    folder = settings.canary_directory()
    try:
        group = settings.sounds.directory.stat().st_gid
        files.make_folder(folder, _FOLDER_MODE)
        status = folder.stat()
        if (status.st_gid, status.st_mode & 0o7777) != (group, _FOLDER_MODE | 0o2000):
            os.chown(folder, -1, group)
            folder.chmod(_FOLDER_MODE | 0o2000)
    except OSError as error:
        raise UsageError(
            "{folder}: cannot be made for the canary's recordings: {reason}; run this as the service's user",
            folder=folder,
            reason=error.strerror,
        ) from error
