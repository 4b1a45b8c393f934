"""`idtone authority add-link | check-link | remove-link`: wholesale chains of numbers (卸)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone import command_line
from idtone.errors import UsageError
from idtone.registry.model import RegistryDocument
from idtone.translation import Message

from ..change_registry import change_registry, suspensions_of
from ..history import Action
from ..registry_edits import link_added, link_checked, link_removed
from ..suspension_edits import refuse_suspended
from ..workspace import Workspace
from ..yaml_text import YamlText
from .history_entry import print_change
from .options import FolderArgument, WhyOption, attributed, day, entries_asked, in_japan, line

FromArgument = Annotated[str, typer.Argument(metavar="FROM", help="The id of the wholesaler, a member.")]
ToArgument = Annotated[str, typer.Argument(metavar="TO", help="The id of the reseller, a member.")]
NumbersOption = Annotated[
    Path | None,
    typer.Option("--numbers", metavar="FILE", help="The number, range or prefix of the chain (default: asked for)."),
]
ByOption = Annotated[str | None, typer.Option("--by", metavar="MEMBER", help="Who checked it (default: FROM).")]


def add_link(
    folder: FolderArgument,
    wholesaler: FromArgument,
    reseller: ToArgument,
    why: WhyOption,
    checked: Annotated[
        str | None, typer.Option(metavar="DAY", help="When the reseller was checked (default: not yet).")
    ] = None,
    document: Annotated[str | None, typer.Option(metavar="TEXT", help="By which document it was checked.")] = None,
    by: ByOption = None,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that a member hands numbers on to a reseller (卸). The numbers are asked for, or read from a file."""
    if (checked is None) != (document is None) or (checked is None and by is not None):
        raise UsageError(Message("--checked and --document go together, and --by only with them"))
    check = _check(checked, document, by or wholesaler) if checked and document else None
    _change(
        folder, Action.ADD_LINK, reseller, why, numbers, as_json,
        lambda text, registry, entry: link_added(text, registry, entry, wholesaler, reseller, check), reseller,
    )  # fmt: skip


def check_link(
    folder: FolderArgument,
    reseller: ToArgument,
    checked: Annotated[str, typer.Option(metavar="DAY", help="When the reseller was checked.")],
    document: Annotated[str, typer.Option(metavar="TEXT", help="By which document it was checked.")],
    by: Annotated[str, typer.Option(metavar="MEMBER", help="Who checked it.")],
    why: WhyOption = "checked",
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record who checked the reseller of a link, when, and by which document."""
    check = _check(checked, document, by)
    _change(
        folder, Action.CHECK_LINK, reseller, why, numbers, as_json,
        lambda text, registry, entry: link_checked(text, registry, entry, reseller, check),
    )  # fmt: skip


def remove_link(
    folder: FolderArgument, reseller: ToArgument, why: WhyOption, numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:  # fmt: skip
    """Remove the last link of a wholesale chain: the reseller has given the numbers back."""
    _change(
        folder, Action.REMOVE_LINK, reseller, why, numbers, as_json,
        lambda text, registry, entry: link_removed(text, registry, entry, reseller),
    )  # fmt: skip


def _check(checked: str, document: str, by: str) -> Mapping[str, str | date]:
    checked_on = day(checked, "--checked")
    if checked_on > in_japan(datetime.now(UTC)).date():
        raise UsageError(Message("--checked is in the future; write the day of the check"))
    return {"by": by, "day": checked_on, "document": line(document, "--document")}


def _change(
    folder: Path,
    action: Action,
    reseller: str,
    why: str,
    numbers: Path | None,
    as_json: bool,
    edit: Callable[[YamlText, RegistryDocument, str], None],
    gets: str | None = None,
) -> None:
    """`gets` is a member that gets the numbers; a suspension may forbid it."""
    attribution = attributed(why)
    entries = entries_asked(numbers)
    if len(entries) > 1:
        raise UsageError(Message("a wholesale chain has one entry of numbers; run the command once for each"))
    workspace = Workspace(folder)

    def edited(text: YamlText, registry: RegistryDocument) -> None:
        if gets:
            refuse_suspended(suspensions_of(workspace), gets, entries, attribution.at)
        edit(text, registry, entries[0])

    print_change(change_registry(workspace, action, reseller, attribution, edited), as_json)
