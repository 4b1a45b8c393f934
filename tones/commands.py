"""`idtone tone`: what sounds there are, what they are made of, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from idtone import console
from idtone.console import ConfigOption, JsonOption
from idtone.errors import ToneError, UsageError
from idtone.settings import load_settings

from .drawing import draw
from .indications import from_asterisk, losses, to_asterisk
from .library import Library, load_library
from .network_tones import resembled
from .profile import Profile, load_profile

app = console.group("Make and look at the sounds.")

ProfileArgument = Annotated[str, typer.Argument(metavar="PROFILE", help="A profile's id, or its YAML file.")]


@app.command("list")
def list_profiles(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the tone profiles: the shipped ones and those of sounds.profiles."""
    library = _library(config)
    if json:
        console.print_json([_summary(profile) | {"source": library.source(name)} for name, profile in library.items()])
        return
    title = Column("title", overflow="fold")
    table = Table("id", title, "standard", "duration", "source", box=None, pad_edge=False)
    for name, profile in library.items():
        row = (name, profile.title, _yes(profile.standard), f"{profile.duration_ms:g} ms", library.source(name))
        table.add_row(*map(escape, row))
    Console().print(table)


@app.command()
def show(profile: ProfileArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show what a sound is made of, and Asterisk's tone string for it."""
    chosen = _choose(profile, config)
    try:
        tone_string, lost = to_asterisk(chosen), losses(chosen)
    except ToneError as error:
        tone_string, lost = None, (str(error),)
    alike = resembled(chosen)
    if json:
        plan = chosen.model_dump(mode="json", include={"level_dbm0", "segments", "repeat"})
        asterisk = {"tones": tone_string, "lost": lost}
        console.print_json(_summary(chosen) | plan | {"asterisk": asterisk, "resembles": alike})
        return
    print(f"{chosen.id}: {chosen.title}")
    print(f"standard: {_yes(chosen.standard)}, {chosen.level_dbm0:g} dBm0, {chosen.duration_ms:g} ms\n")
    Console().print(_plan(chosen))
    print(f"\n{draw(chosen)}\n")
    print(f"Asterisk: {tone_string or 'cannot be written as a tone string'}")
    for loss in lost:
        print(f"  without {loss}" if tone_string else f"  {loss}")
    for tone in alike:
        print(f"Warning: this could be taken for {tone}")


@app.command()
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
    from .formats import FORMATS
    from .sounds import ensure_sounds, named_format

    if (profile is None) == (tones is None):
        raise UsageError("name one thing to generate: a PROFILE (see `idtone tone list`) or --tones STRING")
    wanted = list(FORMATS) if formats == "all" else list(dict.fromkeys(part.strip() for part in formats.split(",")))
    for wanted_name in wanted:
        named_format(wanted_name)
    if tones is not None:
        chosen = from_asterisk(tones, name=name, level_dbm0=level, repeat=repeat)
    else:
        chosen = _choose(profile or "", config)
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


def _library(config: Path | None) -> Library:
    return load_library(load_settings(config).sounds.profiles)


def _choose(profile: str, config: Path | None) -> Profile:
    """A profile by id or file: what holds a slash or ends like YAML is a file."""
    if "/" in profile or profile.endswith((".yaml", ".yml")):
        return load_profile(Path(profile))
    return _library(config).named(profile)


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "title": profile.title,
        "standard": profile.standard,
        "duration_ms": profile.duration_ms,
    }


def _plan(profile: Profile) -> Table:
    table = Table("from", "to", "tone", "ramps", box=None, pad_edge=False)
    for burst in profile.bursts():
        segment = burst.segment
        tone = " + ".join(f"{frequency_hz:g}" for frequency_hz in segment.frequencies_hz) + " Hz"
        if segment.modulation:
            tone += f", modulated at {segment.modulation.rate_hz:g} Hz to a depth of {segment.modulation.depth:g}"
        table.add_row(f"{burst.start_ms:g} ms", f"{burst.end_ms:g} ms", tone, f"{segment.ramp_ms:g} ms")
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"
