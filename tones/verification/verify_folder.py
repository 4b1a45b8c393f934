"""Verifies all recordings in a folder, in several processes."""

import csv
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import RecordingError, UsageError
from idtone.core.files import draft, writing

from ..profile import Profile
from ..recordings.read_recording import read_recording
from .report import Report
from .verifier import Verifier

COLUMNS: Final = (
    "file", "leg", "verdict", "start_ms", "level_dbm0", "frequency_error_percent", "cadence_error_percent", "score",
    "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckedRecording:
    """The result for one file: the name and report of each leg, or the error that prevented reading."""

    path: Path
    reports: tuple[tuple[str, Report], ...]
    error: str | None = None
    notices: tuple[str, ...] = ()


def recording_files(folder: Path) -> list[Path]:
    """The files below a folder, sorted by name, without hidden files. Raises UsageError if there are none."""
    try:
        found = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
    except OSError as error:
        raise UsageError(
            "{folder}: cannot be listed: {reason}; check its permissions", folder=folder, reason=error.strerror
        ) from error
    if not found:
        raise UsageError("{folder}: holds no files; name a folder with recordings", folder=folder)
    return found


def verify_file(path: Path, profile: Profile) -> CheckedRecording:
    """The result for all legs of one file. If reading fails, the error becomes part of the result."""
    notices: list[str] = []
    try:
        legs = read_recording(path, notice=notices.append)
        reports = tuple((leg.name, _verifier(profile).verify_leg(leg)) for leg in legs)
    except RecordingError as error:
        return CheckedRecording(path, (), str(error), tuple(notices))
    return CheckedRecording(path, reports, None, tuple(notices))


def verify_files(paths: Sequence[Path], profile: Profile, jobs: int) -> Iterator[CheckedRecording]:
    """Yield the results for these files in order, using `jobs` processes, or this process if `jobs` is 1."""
    if jobs == 1:
        yield from (verify_file(path, profile) for path in paths)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(verify_file, paths, [profile] * len(paths))


def result_rows(checked: CheckedRecording) -> Iterator[dict[str, Any]]:
    """Yield a row of `COLUMNS` for each leg, or one for an unreadable file."""
    if checked.error is not None:
        yield {"file": checked.path, "verdict": "unreadable", "reason": checked.error}
    for leg, report in checked.reports:
        row = {"file": checked.path, "leg": leg, "verdict": report.verdict, "reason": report.reason}
        if report.findings:
            best = report.findings[0]
            row |= {
                "start_ms": round(best.start_ms, 1),
                "level_dbm0": round(best.level_dbm0, 2),
                "frequency_error_percent": round(best.frequency_error_percent, 4),
                "cadence_error_percent": round(best.cadence_error_percent, 3),
                "score": round(best.score, 2),
            }
        yield row


def write_csv(path: Path, checked: Sequence[CheckedRecording]) -> None:
    """Write all rows in UTF-8, atomically. Raises UsageError if the file cannot be written."""
    with writing(path, UsageError, is_choice=True), draft(path) as new:
        # A file name may consist of bytes that no encoding can decode.
        text = io.TextIOWrapper(new.file, encoding="utf-8", errors="backslashreplace", newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(row for each in checked for row in result_rows(each))
        text.flush()
        text.detach()
        new.put()


@cache
def _for(profile: str, recording: Path | None) -> Verifier:
    # The cache key is the profile's JSON, because a profile cannot be a key.
    return Verifier(Profile.model_validate_json(profile).model_copy(update={"recording": recording}))


def _verifier(profile: Profile) -> Verifier:
    return _for(profile.model_dump_json(exclude={"recording"}), profile.recording)
