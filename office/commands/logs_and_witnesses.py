"""The `log` commands of `idtone-office`, for evidence log keys and witnesses.

The holders of the registry's keys sign the changes with the next edition.
"""

from __future__ import annotations

from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority import logs_and_witnesses
from ..authority.workspace import Workspace
from .history_output import print_change
from .licences import MemberArgument
from .options import FolderOption, WhyOption, attribution_for

LogKeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The log's key, as `idtone-evidence log key` prints it.")
]
WitnessKeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The verifier key that the witness publishes.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="The start of its term (default: now): the log's first signature.")
]
EndOption = Annotated[
    str, typer.Option(metavar="MOMENT", help="The last day on which it counts, in Japan; or the moment of the end.")
]


def add_log_key(
    folder: FolderOption,
    member: MemberArgument,
    key: LogKeyArgument,
    since: SinceOption = None,
    corporate_number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The member's corporate number (法人番号), 13 digits.")
    ] = None,
    why: WhyOption = "key of a log",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter the key of a member's evidence log. Evidence packs then prove whose log it is."""
    with checking():
        entry = logs_and_witnesses.enter_log_key(
            Workspace(folder), member, key, since or "", corporate_number or "", attribution_for(why), _option
        )
    print_change(entry, as_json)


def end_log_key(
    folder: FolderOption,
    key: LogKeyArgument,
    until: EndOption,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the end of a log's key: it was replaced, or others have it."""
    with checking():
        entry = logs_and_witnesses.end_log_key(Workspace(folder), key, until, attribution_for(why), _option)
    print_change(entry, as_json)


def add_witness(
    folder: FolderOption,
    key: WitnessKeyArgument,
    since: SinceOption = None,
    why: WhyOption = "a witness",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a witness whose cosignatures count for all members' logs."""
    with checking():
        entry = logs_and_witnesses.enter_witness(Workspace(folder), key, since or "", attribution_for(why), _option)
    print_change(entry, as_json)


def end_witness(
    folder: FolderOption,
    key: WitnessKeyArgument,
    until: EndOption,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the end of a witness's term: its later cosignatures do not count."""
    with checking():
        entry = logs_and_witnesses.end_witness(Workspace(folder), key, until, attribution_for(why), _option)
    print_change(entry, as_json)


def demand_cosignatures(
    folder: FolderOption,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="How many witnesses, by name, must cosign.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Set how many of the witnesses must have cosigned a member's log."""
    with checking():
        entry = logs_and_witnesses.demand_cosignatures(Workspace(folder), number, attribution_for(why))
    print_change(entry, as_json)


def _option(name: str) -> str:
    return f"--{name}"
