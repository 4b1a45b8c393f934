"""`idtone tone generate`: a profile's sound files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone import console
from idtone.console import ConfigOption, JsonOption
from idtone.errors import UsageError

from ..indications import from_asterisk
from .choice import choose


def generate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")],
    profile: Annotated[str | None, typer.Argument(metavar="PROFILE", help="A profile's id, or its YAML file.")] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="Comma-separated formats, like wav,sln16,ulaw; or all.")
    ] = "all",
    tones: Annotated[
        str | None, typer.Option(metavar="STRING", help="Asterisk's tone string instead of a profile: '400/100,0/100'.")
    ] = None,
    name: Annotated[str, typer.Option(help="With --tones: the name of the files.")] = "tones",
    level: Annotated[float, typer.Option(help="With --tones: the level in dBm0.")] = -16.0,
    repeat: Annotated[
        int, typer.Option(min=1, max=100, help="With --tones: how often to play what Asterisk would repeat for ever.")
    ] = 1,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the sound files of a profile. The output is for sha256sum -c."""
    # numpy and soundfile take longer to load than most commands to run.
    from ..formats import FORMATS
    from ..sounds import ensure_sounds, named_format

    if (profile is None) == (tones is None):
        raise UsageError("name one thing to generate: a PROFILE (see `idtone tone list`) or --tones STRING")
    wanted = list(FORMATS) if formats == "all" else list(dict.fromkeys(part.strip() for part in formats.split(",")))
    for wanted_name in wanted:
        named_format(wanted_name)
    if tones is not None:
        chosen = from_asterisk(tones, name=name, level_dbm0=level, repeat=repeat)
    else:
        chosen = choose(profile or "", config)
    files = ensure_sounds(output, [chosen], wanted)[chosen.id].files
    if json:
        console.print_json(
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
        print(f"{file.sha256}  {file.path}")
