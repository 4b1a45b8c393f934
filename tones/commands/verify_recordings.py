"""`idtone tone verify`, which checks recordings for a profile's sound."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from idtone.core.errors import RecordingError, UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import UNUSABLE, ConfigOption, JsonOption
from idtone.core.translation import translated

from ..profile import Profile
from .profile_argument import choose_profile, complete_profile

if TYPE_CHECKING:
    from ..verification.report import HeardBurst, Report
    from ..verification.verify_folder import CheckedRecording

_COLOURS: Final = {"conforms": "green", "present": "yellow", "cannot-tell": "yellow", "absent": "red"}


def verify(
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Recordings of calls, captures of RTP, or folders of recordings."),
    ],
    profile: Annotated[
        str,
        typer.Option(metavar="PROFILE", help="A profile's id, or its YAML file.", autocompletion=complete_profile),
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Accept only a sound that conforms.")] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="OUT.csv", help="Write a row for each leg to this file as well.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes for several files (default: one for each processor).")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Check whether a recording contains a profile's sound: conforms, present, absent or cannot-tell.

    For several files it prints a table with a row for each leg. It exits 0 if every file has a leg with the sound, 1
    if a file has none, and 2 if a file cannot be read.
    """
    # numpy takes longer to import than most commands take to run.
    from ..verification.verifier import Verifier
    from ..verification.verify_folder import recording_files, verify_file, write_csv

    chosen = choose_profile(profile, config)
    Verifier(chosen)  # reports an unsuitable profile before any file is read
    files = [file for each in recordings for file in (recording_files(each) if each.is_dir() else [each])]
    as_table = len(recordings) > 1 or recordings[0].is_dir()
    if as_table:
        checked = _all(files, chosen, jobs or os.cpu_count() or 1)
    else:
        one = verify_file(files[0], chosen)
        if one.error is not None:
            raise RecordingError(one.error)
        checked = [one]
    for each in checked:
        for notice in each.notices:
            print(f"idtone: {translated(notice)}", file=sys.stderr)
    if csv is not None:
        write_csv(csv, checked)
    if json:
        command_line.print_json([entry for each in checked for entry in _as_json(each)])
    elif as_table:
        _print_table(checked, recordings[0] if len(recordings) == 1 else None)
    else:
        for leg, report in checked[0].reports:
            _print_report(leg, report)
    _end(checked, strict)


def _all(paths: list[Path], profile: Profile, jobs: int) -> list[CheckedRecording]:
    from ..verification.verify_folder import verify_files

    screen = Console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as progress:
        return list(
            progress.track(verify_files(paths, profile, min(jobs, len(paths))), len(paths), description="verifying")
        )


def _end(checked: list[CheckedRecording], strict: bool) -> None:
    good = {"conforms"} if strict else {"conforms", "present"}
    unreadable = [each for each in checked if each.error is not None]
    if unreadable:
        if len(checked) == len(unreadable):
            raise UsageError("none of the files could be read")
        raise typer.Exit(UNUSABLE)
    if not all(any(report.verdict in good for _, report in each.reports) for each in checked):
        command_line.exit_negative()


def _as_json(checked: CheckedRecording) -> list[dict[str, Any]]:
    if checked.error is not None:
        return [{"file": checked.path, "error": checked.error}]
    entries = []
    for leg, report in checked.reports:
        entry = asdict(report)
        for finding, shown in zip(report.findings, entry["findings"], strict=True):
            shown["failed"] = finding.failed
        entries.append({"file": checked.path, "leg": leg} | entry)
    return entries


def _print_report(leg: str, report: Report) -> None:
    screen = command_line.screen(highlight=False)
    colour = _COLOURS[report.verdict]
    screen.print(f"{escape(leg)}: [{colour}]{report.verdict}[/{colour}]  {escape(report.reason)}")
    for finding in report.findings:
        screen.print(
            translated(
                "  at {start_s:z.3f} s to {end_s:.3f} s: {verdict}, {level_dbm0:.2f} dBm0, score "
                "{score:.1f} (counts from {threshold:.1f})",
                start_s=finding.start_ms / 1000,
                end_s=finding.end_ms / 1000,
                verdict=finding.verdict,
                level_dbm0=finding.level_dbm0,
                score=finding.score,
                threshold=report.threshold,
            )
        )
        for test in finding.tests:
            mark = {"passed": "✓", "failed": "✗" if test.certain else "≈", "unknown": "?"}[test.outcome]
            screen.print(f"    {mark} {escape(test.says)}")
        table = Table("burst", "from", "to", "edges off by", "level", "heard", box=None, pad_edge=False)
        for number, burst in enumerate(finding.bursts, 1):
            table.add_row(
                str(number),
                f"{burst.start_ms:z.1f} ms",
                f"{burst.end_ms:z.1f} ms",
                _edges(burst),
                f"{burst.level_dbm0:.2f} dBm0",
                f"{100 * burst.heard:.0f} %",
            )
        screen.print(table)
    screen.print(
        translated(
            "  At this threshold speech and music give at most {false_alarms_per_hour:.2g} false alarms an hour.",
            false_alarms_per_hour=report.false_alarms_per_hour,
        )
    )


def _edges(burst: HeardBurst) -> str:
    if burst.start_error_ms is None or burst.end_error_ms is None:
        return "not measured"
    return f"{burst.start_error_ms:+.1f}, {burst.end_error_ms:+.1f} ms"


def _print_table(checked: list[CheckedRecording], folder: Path | None) -> None:
    """Print a table of the files. Paths are relative to `folder` if it is given."""
    from ..verification.verify_folder import result_rows

    file, reason = Column("file", overflow="fold"), Column("reason", overflow="fold")
    verdict = Column("verdict", no_wrap=True)
    table = Table(file, "leg", verdict, "at", "level", reason, box=None, pad_edge=False)
    counts: dict[str, int] = {}
    for each in checked:
        for row in result_rows(each):
            verdict_name = str(row["verdict"])
            counts[verdict_name] = counts.get(verdict_name, 0) + 1
            at = f"{row['start_ms'] / 1000:z.2f} s" if "start_ms" in row else ""
            level = f"{row['level_dbm0']:.1f} dBm0" if "level_dbm0" in row else ""
            colour = _COLOURS.get(verdict_name, "red")
            name, leg, why = map(
                escape,
                (str(each.path.relative_to(folder) if folder else each.path), str(row.get("leg", "")), row["reason"]),
            )
            table.add_row(name, leg, f"[{colour}]{verdict_name}[/{colour}]", at, level, why)
    screen = command_line.screen()
    screen.print(table)
    screen.print(", ".join(f"{count} {verdict_name}" for verdict_name, count in sorted(counts.items())))
