"""`idtone authority suspend-number | lift`: numbers that the police want stopped.

Two people enter the number. The second person confirms it by a signature: the suspensions are published with the keys
of two holders, and both signatures cover the history's line.
"""

from __future__ import annotations

from typing import Annotated

import typer

from idtone import console
from idtone.errors import UsageError
from idtone.registry.trust import tuf_roles
from idtone.translation import Message

from .. import edits
from ..change_registry import change_suspensions
from ..history import Action
from ..workspace import Workspace
from .history_entry import print_change
from .options import FolderArgument, WhyOption, attributed, in_japan, line, moment, number_asked_of_two


def suspend_number(
    folder: FolderArgument,
    reference: Annotated[str, typer.Option(metavar="TEXT", help="The reference of the police's request.")],
    requested: Annotated[str, typer.Option(metavar="MOMENT", help="When the police made the request.")],
    since: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="The start of the suspension (default: now).")
    ] = None,
    why: WhyOption = "requested by the police",
    as_json: console.JsonOption = False,
) -> None:
    """Stop a number that the police want stopped (番号停止). Two people enter the number, and both sign it."""
    attribution = attributed(why)
    line(reference, "--reference")
    asked_at, begins = moment(requested, "--requested"), moment(since, "--since") if since else attribution.at
    if asked_at > attribution.at:
        raise UsageError(Message("--requested is in the future; write when they asked"))
    number, now = number_asked_of_two(), in_japan(attribution.at)
    entry = change_suspensions(
        Workspace(folder), Action.SUSPEND_NUMBER, reference, attribution,
        lambda text, document: edits.suspended(text, document, number, in_japan(begins), reference, now),
        requested=asked_at,
    )  # fmt: skip
    print_change(entry, as_json)


def lift(folder: FolderArgument, why: WhyOption, as_json: console.JsonOption = False) -> None:
    """End the suspension of a number. Two people enter the number, and both sign it."""
    attribution = attributed(why)
    number = number_asked_of_two()
    entry = change_suspensions(
        Workspace(folder), Action.LIFT, tuf_roles.SUSPENSIONS_FILE, attribution,
        lambda text, document: edits.lifted(text, document, number, in_japan(attribution.at)),
    )  # fmt: skip
    print_change(entry, as_json)
