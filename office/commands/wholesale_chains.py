"""The commands `chain add`, `check` and `remove` of `idtone-office`, for wholesale chains of numbers (卸)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority import wholesale_links
from ..authority.change_registry import Attribution
from ..authority.wholesale_links import LinkCheck, parse_link_check
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, ask_number_entries, attribution_for

FromArgument = Annotated[str, typer.Argument(metavar="FROM", help="The id of the wholesaler, a member.")]
ToArgument = Annotated[str, typer.Argument(metavar="TO", help="The id of the reseller, a member.")]
NumbersOption = Annotated[
    Path | None,
    typer.Option("--numbers", metavar="FILE", help="The number, range or prefix of the chain (default: asked for)."),
]
ByOption = Annotated[str | None, typer.Option("--by", metavar="MEMBER", help="Who checked it (default: FROM).")]


def add_link(
    folder: FolderOption,
    wholesaler: FromArgument,
    reseller: ToArgument,
    why: WhyOption,
    checked: Annotated[
        str | None, typer.Option(metavar="DAY", help="When the reseller was checked (default: not yet).")
    ] = None,
    document: Annotated[str | None, typer.Option(metavar="TEXT", help="The document of the check.")] = None,
    by: ByOption = None,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that a member hands numbers on to a reseller (卸). The command asks for the numbers, or reads them from a
    file.
    """
    if (checked is None) != (document is None) or (checked is None and by is not None):
        raise UsageError("--checked and --document go together, and --by only with them")
    attribution = attribution_for(why)
    check = _check(checked, document, by or wholesaler, attribution) if checked and document else None
    entries = ask_number_entries(numbers)
    with checking():
        entry = wholesale_links.add_link(Workspace(folder), wholesaler, reseller, entries, check, attribution)
    print_change(entry, as_json)


def check_link(
    folder: FolderOption,
    reseller: ToArgument,
    checked: Annotated[str, typer.Option(metavar="DAY", help="When the reseller was checked.")],
    document: Annotated[str, typer.Option(metavar="TEXT", help="The document of the check.")],
    by: Annotated[str, typer.Option(metavar="MEMBER", help="Who checked it.")],
    why: WhyOption = "checked",
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record who checked the reseller of a link, when, and by which document."""
    attribution = attribution_for(why)
    check, entries = _check(checked, document, by, attribution), ask_number_entries(numbers)
    with checking():
        entry = wholesale_links.check_link(Workspace(folder), reseller, entries, check, attribution)
    print_change(entry, as_json)


def remove_link(
    folder: FolderOption,
    reseller: ToArgument,
    why: WhyOption,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Remove the last link of a wholesale chain: the reseller has given the numbers back."""
    attribution, entries = attribution_for(why), ask_number_entries(numbers)
    with checking():
        entry = wholesale_links.remove_link(Workspace(folder), reseller, entries, attribution)
    print_change(entry, as_json)


def _check(checked: str, document: str, by: str, attribution: Attribution) -> LinkCheck:
    return parse_link_check(checked, document, by, attribution.at, lambda field: f"--{field}")
