"""The commands `number port` and `end-porting` of `idtone-office`, for portings (番号ポータビリティ)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority import number_portings
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, ask_number_entries, attribution_for, parse_moment

NumbersOption = Annotated[
    Path | None,
    typer.Option("--numbers", metavar="FILE", help="The number, range or prefix of the porting (default: asked for)."),
]


def port_number(
    folder: FolderOption,
    giver: Annotated[str, typer.Argument(metavar="FROM", help="The id of the member that holds the numbers.")],
    taker: Annotated[str, typer.Argument(metavar="TO", help="The id of the member that gets them.")],
    at: Annotated[
        str, typer.Option(metavar="DAY|MOMENT", help="When TO begins to hold them; a day means 0:00 in Japan.")
    ],
    why: WhyOption,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that a member's numbers pass to another member at a given time (番号ポータビリティ).

    Until then FROM holds them. The command asks for the numbers, or reads them from a file.
    """
    attribution, since = attribution_for(why), parse_moment(at, "--at")
    entries = ask_number_entries(numbers)
    with checking():
        entry = number_portings.port_number(Workspace(folder), giver, taker, entries, since, attribution)
    print_change(entry, as_json)


def remove_porting(
    folder: FolderOption, why: WhyOption, numbers: NumbersOption = None, as_json: command_line.JsonOption = False
) -> None:
    """Remove a porting: the numbers stay with the member that holds them now, and are entered in its ranges.

    If its time has not come, the porting does not take place. After that time, it is complete.
    """
    attribution, entries = attribution_for(why), ask_number_entries(numbers)
    with checking():
        entry = number_portings.remove_porting(Workspace(folder), entries, attribution)
    print_change(entry, as_json)
