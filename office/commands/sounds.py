"""The command `sound add` of `idtone-office`, which adds a sound with its master recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.files import reading
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.tone_masters import LIMIT, enter_tone
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, attribution_for


def add_sound(
    folder: FolderOption,
    sound: Annotated[str, typer.Argument(metavar="ID", help="The sound's id, as licences name it.")],
    master: Annotated[Path, typer.Argument(metavar="WAV", help="The master: a WAV file with one channel.")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="What people call it.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a sound with its master. The next publication brings the file to the members."""
    with reading(master, UsageError), master.open("rb") as file:
        octets = file.read(LIMIT + 1)
    if len(octets) > LIMIT:
        raise UsageError("the file is larger than {limit:,} MB", limit=LIMIT // 1_000_000)
    with checking():
        entry = enter_tone(Workspace(folder), sound, title, octets, attribution_for(why), "--title")
    print_change(entry, as_json)
