"""The command `suspension in-force` of `idtone-office`, which shows the nodes that confirmed suspensions."""

from __future__ import annotations

from typing import Annotated

import typer

from idtone.core.japan_time import JAPAN
from idtone.core.terminal import command_line
from idtone.core.translation import translated
from idtone.registry.commands.check_progress import checking

from ..desk.document_desk import DocumentDesk
from ..desk.document_kinds import RULES
from ..desk.member_stops import member_stops
from ..desk.suspension_confirmations import Confirmation, as_plain, is_published
from ..desk.suspension_confirmations import confirmations as found
from .options import FolderOption

_OWN_COLUMNS = ("id", "reference", "member", "node", "numbers", "state", "in use since", "calls ended")
_COLUMNS = ("reference", "member", "node", "in use since", "received", "calls ended", "lifted since")


def show_confirmations(
    folder: FolderOption,
    reference: Annotated[
        str | None, typer.Argument(metavar="REFERENCE", help="Only this one (default: all that are published).")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show which nodes have confirmed the published suspensions, and which have not. Exit 1: some have not.

    The registry names the nodes by their keys (`members[].keys`). A member that holds numbers and has named no key
    counts as missing. A lifted suspension stays in the list until each node that confirmed it has confirmed its end.
    With its REFERENCE, the command shows it at any time. The list ends with suspensions that members entered themselves
    (`idtone suspend`) because the police called them directly. If you publish the same suspension, yours replaces it.
    """
    with checking():
        desk = DocumentDesk(folder, RULES)
        own = list(member_stops(desk, reference))
        rows = list(found(desk, reference)) if reference is None or not own or is_published(desk, reference) else []
    if as_json:
        command_line.print_json(
            [*({"by": "association", **as_plain(each)} for each in rows), *(each.as_plain() for each in own)]
        )
    elif rows or not own:
        command_line.Rows(_COLUMNS).print(
            (
                each.reference, each.member, each.node or "-",
                each.in_use.astimezone(JAPAN).isoformat(timespec="seconds")
                if each.in_use else translated("not confirmed"),
                each.received.astimezone(JAPAN).isoformat(timespec="seconds") if each.received else "-",
                each.calls_ended if each.in_use else "-", _end_of(each),
            )
            for each in rows
        )  # fmt: skip
    if own and not as_json:
        command_line.say("by members themselves:")
        command_line.Rows(_OWN_COLUMNS, whole=("id",)).print(
            (
                each.report.id, each.report.reference, each.member, each.node, each.report.numbers, each.report.state,
                each.report.in_force.astimezone(JAPAN).isoformat(timespec="seconds"), each.report.calls_ended,
            )
            for each in own
        )  # fmt: skip
    if any(each.is_missing for each in rows):
        command_line.exit_negative()


def _end_of(each: Confirmation) -> str:
    if not each.is_lifted:
        return "-"
    if each.lifted is None:
        return translated("not confirmed") if each.in_use else "-"
    return each.lifted.astimezone(JAPAN).isoformat(timespec="seconds")
