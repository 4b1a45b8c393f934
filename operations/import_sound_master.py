"""`idtone tone import`: makes a sound profile from a supplied recording, and checks it against the registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.registry.local_registry import read_local_registry
from idtone.registry.sources import read_document
from idtone.tones import master_import
from idtone.tones.commands.generate_sounds import complete_formats, parse_formats
from idtone.tones.profile import Law


def import_master(
    profile_id: Annotated[str, typer.Option("--id", help="The profile's id; for a licensed sound, the registry's id.")],
    master: Annotated[
        Path | None,
        typer.Argument(
            metavar="MASTER",
            help="The supplied recording, in any usual audio format (default: the one that the association publishes"
            " with its registry).",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The sound's title (default: the registry's title).")] = None,
    expect_sha256: Annotated[
        str | None, typer.Option("--expect-sha256", metavar="HEX", help="Refuse a file with another SHA-256.")
    ] = None,
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Registry file (default: registry.source of the settings).")
    ] = None,
    standard: Annotated[
        bool, typer.Option("--standard", help="The association's own sound; the registry must name this master.")
    ] = False,
    level: Annotated[float, typer.Option(metavar="DBM0", help="The level of the sounding part.")] = -16.0,
    law: Annotated[Law, typer.Option(help="The law (G.711) whose 0 dBm0 the level refers to.")] = Law.A,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for all files (default: those of the settings)."),
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the sound files only (default: as -o).")
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAMES",
            help="Comma-separated formats, like wav,sln16,ulaw; or all (default: all with -o or --sounds, otherwise "
            "those that calls need).",
            autocompletion=complete_formats,
        ),
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier import.")] = False,
    config: command_line.ConfigOption = None,
    json: command_line.JsonOption = False,
) -> None:
    """Make a profile and all its sound files from a supplied recording, and check it by the registry.

    The command refuses a recording that is clipped, silent, noisy, too short or too long, or that has DC or channels
    that differ, and says what it measured. Without -o the profile goes to sounds.profiles, the files to
    sounds.directory.
    """
    settings = load_settings(config)
    folder = output or settings.sounds.profiles
    if folder is None:
        raise UsageError("no folder for profiles is set; set sounds.profiles in the settings, or name one with -o")
    tones = None
    if registry:
        tones = read_document(registry).tones
    elif settings.registry.trust and (settings.registry.root_file() or settings.registry.file().exists()):
        tones = read_local_registry(settings.registry).document.tones
    request = master_import.ImportRequest(
        profile_id,
        title
        or next((entry.title for entry in tones or () if entry.id == profile_id), f"{profile_id} (録音 / recording)"),
        level,
        law,
        standard,
        expect_sha256,
        None if tones is None else {entry.id: entry.sha256 for entry in tones},
        replace,
    )
    from idtone.tones.making.sound_files import PBX_FORMATS  # takes longer to load than most commands to run

    # Asterisk could open a file of another format in the folder from which it plays, which the service does not check.
    needed = "all" if output or sounds else ",".join(PBX_FORMATS)
    names = [each.name for each in parse_formats(formats or needed)]
    with tempfile.TemporaryDirectory(prefix="idtone-") as scratch:
        supplied = master or _published_master(profile_id, settings, Path(scratch))
        made = master_import.import_master(
            supplied, request, folder, sounds or output or settings.sounds.directory, names
        )
    facts = master_import.import_report(made, request)
    if json:
        command_line.print_json(facts)
        return
    for name, value in facts.items():
        if name != "sounds":
            print(f"{name:<16} {'-' if value is None else value}")
    for file in made.sound.files:
        print(command_line.checksum_line(file.sha256, file.path))


def _published_master(tone: str, settings: Settings, scratch: Path) -> Path:
    root = settings.registry.root_file()
    if root is None:
        raise UsageError("an unsigned registry has no published masters; name the MASTER")
    from idtone.registry.trust.publication_client import PublicationClient  # imports TUF, which takes long

    # A copy is used: the operator need not be the service's user, whose folder gets no file of others.
    cache = scratch / "registry"
    if settings.registry.cache.exists():
        shutil.copytree(settings.registry.cache, cache)
    return PublicationClient(root, settings.registry.source, cache).master(tone, scratch)
