"""The commands `evaluation observe`, `observations`, `withdraw` and `forget` of `idtone-office`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import typer

from idtone.core.persons import acting_person
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.workspace import Workspace
from ..evaluation.observations import (
    ObservationKind,
    forget_observations,
    observations,
    observe,
    withdraw_observation,
)
from .options import FolderOption

_COLUMNS: Final = (
    "id", "member", "kind", "day", "is_good", "what", "points", "asked", "stopped", "by", "entered",
)  # fmt: skip


def enter_observation_of_member(
    folder: FolderOption,
    kind: Annotated[ObservationKind, typer.Argument(help="What was observed.")],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")],
    day: Annotated[
        str, typer.Option(metavar="DAY", help="When, in Japan; for an assessor, a day of the assessed period.")
    ] = "",
    result: Annotated[
        Literal["good", "bad", ""],
        typer.Option(metavar="RESULT", help="`good`: the contact was reached, the form has no gap. `bad`: not so."),
    ] = "",
    what: Annotated[
        str, typer.Option(metavar="TEXT", help="The reference of a stop, the name of an assessor, or a remark.")
    ] = "",
    points: Annotated[str, typer.Option(metavar="POINTS", help="Of an assessor: 0 to 10.")] = "",
    asked: Annotated[
        str,
        typer.Option(metavar="MOMENT", help="For a stop: when the member was asked, in ISO 8601 with its time zone."),
    ] = "",
    stopped: Annotated[str, typer.Option(metavar="MOMENT", help="For a stop: when the number was stopped.")] = "",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter what the office observed of a member: a contact attempt, a form, a stop, an assessor's points.

    Do not enter answers to reports, or suspensions that the nodes have confirmed: the desk counts them.
    """
    fields = {"day": day, "result": result, "what": what, "points": points, "asked": asked, "stopped": stopped}
    with checking():
        made = observe(
            Workspace(folder), kind, member, fields, str(acting_person()), datetime.now(UTC), lambda name: f"--{name}"
        )
    if as_json:
        command_line.print_json(asdict(made))
    else:
        command_line.say("{id}: {member}, {result}", id=made.id, member=made.member, result=made.result)


def list_observations(
    folder: FolderOption,
    member: Annotated[list[str] | None, typer.Option("--member", metavar="ID", help="Only this one.")] = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List what the office has observed of members, the newest last."""
    form = command_line.form(as_json, as_csv, as_tsv)
    rows = [asdict(each) for each in observations(folder) if not member or each.member in member]
    if form is command_line.Form.JSON:
        command_line.print_json(rows)
    else:
        command_line.Rows(_COLUMNS, form).print([[str(each[name]) for name in _COLUMNS] for each in rows])


def withdraw_observation_of_member(
    folder: FolderOption,
    observation: Annotated[
        str, typer.Argument(metavar="OBSERVATION", help="Its id, as `evaluation observations` prints it.")
    ],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, in one line.")],
) -> None:
    """Erase an observation that was entered by mistake. An evaluation that was entered before keeps its result."""
    with checking():
        withdraw_observation(Workspace(folder), observation, why, lambda name: f"--{name}")
    command_line.say("{id}: withdrawn", id=observation)


def forget_old_observations(
    folder: FolderOption,
    before: Annotated[str, typer.Option(metavar="DAY", help="Those of this day, and later ones, stay.")],
) -> None:
    """Erase the observations made before a day, with the assessors' names. Evaluations keep their values."""
    count = forget_observations(Workspace(folder), before, "--before")
    command_line.say("observations erased: {count}", count=count)
