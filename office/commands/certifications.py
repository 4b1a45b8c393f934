"""The commands `member certify` and `chain certify` of `idtone-office`, for certifications (認定)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.certifications import Certified, certify_member, parse_certification
from ..authority.certifications import certify_link as certify_reseller
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, ask_number_entries, attribution_for

_Number = Annotated[str, typer.Option("--number", metavar="TEXT", help="The number of the certification (認定番号).")]
_Until = Annotated[str, typer.Option(metavar="DAY", help="The last day on which it is in force.")]
_Document = Annotated[str, typer.Option(metavar="TEXT", help="The notice that proved it (認定通知書).")]
_NextCheck = Annotated[str, typer.Option(metavar="DAY", help="Someone must check it again before this day.")]
_Mark = Annotated[str | None, typer.Option(metavar="TEXT", help="The number of ETOC's mark, if there is one.")]
_MarkUntil = Annotated[str | None, typer.Option(metavar="DAY", help="The last day of the mark.")]


def certify(
    folder: FolderOption,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")],
    number: _Number,
    until: _Until,
    document: _Document,
    next_check: _NextCheck,
    mark: _Mark = None,
    mark_until: _MarkUntil = None,
    why: WhyOption = "certification seen",
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the certification (認定) of a member, in place of an older one.

    Without --mark, the recorded mark stays. To remove it, edit registry.yaml and record the edit with `history note`.
    """
    fields = _fields(number, until, document, next_check, mark, mark_until)
    with checking():
        entry = certify_member(Workspace(folder), member, fields, attribution_for(why))
    print_change(entry, as_json)


def certify_link(
    folder: FolderOption,
    reseller: Annotated[str, typer.Argument(metavar="TO", help="The id of the reseller, a member.")],
    number: _Number,
    until: _Until,
    document: _Document,
    next_check: _NextCheck,
    mark: _Mark = None,
    mark_until: _MarkUntil = None,
    why: WhyOption = "certification seen",
    numbers: Annotated[
        Path | None,
        typer.Option(
            "--numbers", metavar="FILE", help="The number, range or prefix of the chain (default: asked for)."
        ),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the certification (認定) of a link's reseller, as the wholesaler has seen it."""
    attribution = attribution_for(why)
    fields, entries = _fields(number, until, document, next_check, mark, mark_until), ask_number_entries(numbers)
    with checking():
        entry = certify_reseller(Workspace(folder), reseller, entries, fields, attribution)
    print_change(entry, as_json)


def _fields(
    number: str, until: str, document: str, next_check: str, mark: str | None, mark_until: str | None
) -> Certified:
    given = {
        "number": number, "until": until, "document": document, "next_check": next_check, "mark": mark,
        "mark_until": mark_until,
    }  # fmt: skip
    return parse_certification(given, lambda field: f"--{field.replace('_', '-')}")
