"""`idtone tone generate`, which writes a profile's sound files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from idtone.core.errors import ToneError, UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption, JsonOption
from idtone.core.translation import translated

from ..notations.read_notation import from_notation
from ..profile import Profile
from .profile_argument import choose_profile, complete_profile

if TYPE_CHECKING:
    from ..making.formats import SoundFormat

_LONG_MS: Final = 60_000
"""Minimum total duration of the sound in all formats for which a progress bar is shown, in ms."""


def complete_formats(incomplete: str) -> list[str]:
    """Shell completions, including `all`, for the last format in a comma-separated list."""
    from ..making.formats import FORMATS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in [*FORMATS, *["all"] * (not comma)] if name.startswith(last)]


FormatsOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAMES",
        help="Comma-separated formats, like wav,sln16,ulaw; or all.",
        autocompletion=complete_formats,
    ),
]


def generate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")],
    profile: Annotated[
        str | None,
        typer.Argument(metavar="PROFILE", help="A profile's id, or its YAML file.", autocompletion=complete_profile),
    ] = None,
    formats: FormatsOption = "all",
    tones: Annotated[
        str | None,
        typer.Option(
            metavar="STRING",
            help="Asterisk's tone string or FreeSWITCH's TGML instead of a profile: '400/100,0/100', '%(100,100,400)'.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="With --tones: the name of the files (default: tones).")] = None,
    level: Annotated[
        float | None, typer.Option(help="With --tones: the level in dBm0 (default: -16, or the levels in the TGML).")
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="With --tones: how often to play parts that repeat endlessly (default: 1)."),
    ] = None,
    dither: Annotated[
        int | None,
        typer.Option(min=0, max=2**64 - 1, metavar="SEED", help="Dither linear formats from this seed."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the sound files of a profile. Its output is input for sha256sum -c.

    `all` leaves out formats for which this machine lacks a program, and reports them on standard error.
    """
    # numpy and soundfile take longer to import than most commands take to run.
    from ..making.sound_files import ensure_sounds

    if (profile is None) == (tones is None):
        raise UsageError("name what to generate: either a PROFILE (see `idtone tone list`) or --tones STRING")
    if profile is not None and any(option is not None for option in (name, level, repeat)):
        raise UsageError("--name, --level and --repeat go with --tones; a profile contains these itself")
    wanted = parse_formats(formats)
    if tones is not None:
        chosen = from_notation(tones, name=name or "tones", level_dbm0=level, repeat=repeat or 1)
    else:
        chosen = choose_profile(profile or "", config)
    if dither is not None:
        chosen = chosen.model_copy(update={"dither_seed": dither})
    with _progress(chosen, wanted) as advance:
        files = ensure_sounds(output, [chosen], [each.name for each in wanted], advance)[chosen.id].files
    if json:
        command_line.print_json(
            [
                {
                    "file": file.path,
                    "format": file.sound_format.name,
                    "sample_rate_hz": file.sound_format.sample_rate_hz,
                    "sha256": file.sha256,
                    "written": file.written,
                }
                for file in files
            ]
        )
        return
    for file in files:
        print(command_line.checksum_line(file.sha256, file.path))


def parse_formats(names: str) -> list[SoundFormat]:
    """The formats in a comma-separated list. `all` stands for those that this machine can write.

    Raises ToneError or UsageError.
    """
    return _possible() if names == "all" else _named(names)


def _named(names: str) -> list[SoundFormat]:
    from ..making.encoders import require_encoder
    from ..making.sound_files import find_format

    formats = [find_format(name) for name in dict.fromkeys(part.strip() for part in names.split(","))]
    for each in formats:
        require_encoder(each)
    return formats


def _possible() -> list[SoundFormat]:
    """All formats that this machine can write. Reports the others on standard error."""
    from ..making.encoders import require_encoder
    from ..making.formats import FORMATS

    possible = []
    for each in FORMATS.values():
        try:
            require_encoder(each)
        except ToneError as error:
            print(translated("idtone: left out {name}: {error}", name=each.name, error=error), file=sys.stderr)
        else:
            possible.append(each)
    return possible


@contextmanager
def _progress(profile: Profile, formats: list[SoundFormat]) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal.

    The yielded function takes the number of samples of each block.
    """
    duration_ms = profile.duration_ms
    screen = Console(stderr=True)
    shown = screen.is_terminal and duration_ms * len(formats) >= _LONG_MS
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not shown) as progress:
        total = sum(each.sample_rate_hz for each in formats) * duration_ms / 1000
        task = progress.add_task(f"Making {profile.id}", total=total)
        yield lambda samples: progress.advance(task, samples)
