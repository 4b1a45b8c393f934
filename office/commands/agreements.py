"""The commands `member agree`, `member end-agreement` and `member agreements` of `idtone-office`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.agreements import Agreement, accept_agreement, end_acceptance, read_acceptances
from ..authority.workspace import Workspace
from .options import FolderOption, WhyOption, checked_line

MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")]
AgreementArgument = Annotated[Agreement, typer.Argument(help="What it agrees to.")]


def enter_agreement(
    folder: FolderOption,
    member: MemberArgument,
    agreement: AgreementArgument,
    version: Annotated[str, typer.Option(metavar="TEXT", help="The version of the text.")],
    since: Annotated[str, typer.Option(metavar="DAY", help="The first day.")],
    document: Annotated[str, typer.Option(metavar="TEXT", help="The document of its agreement.")],
) -> None:
    """Record that a member agrees to a text: standard form, suspension scheme, stopping conditions, training."""
    now = datetime.now(UTC)
    with checking():
        made = accept_agreement(
            Workspace(folder), member, agreement, version, since, document, now, lambda name: f"--{name}"
        )
    command_line.say(
        "{member}: {what}, version {version}", member=made.member, what=made.agreement.value, version=made.version
    )


def end_agreement(
    folder: FolderOption,
    member: MemberArgument,
    agreement: AgreementArgument,
    through: Annotated[str, typer.Option(metavar="DAY", help="Its last day.")],
    why: WhyOption,
) -> None:
    """Record that an agreement of a member has ended."""
    ended = end_acceptance(
        Workspace(folder),
        member,
        agreement,
        through,
        checked_line(why, "--why"),
        datetime.now(UTC),
        lambda name: f"--{name}",
    )
    command_line.say(
        "{member}: {what} has ended on {day}", member=ended.member, what=ended.agreement.value, day=ended.through
    )


def list_agreements(
    folder: FolderOption,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List members' agreements: which member has agreed to which version of the standard form, and so on."""
    form = command_line.form(as_json, as_csv, as_tsv)
    columns = ("member", "agreement", "version", "since", "through", "document")
    rows = [asdict(each) for each in read_acceptances(folder)]
    if form is command_line.Form.JSON:
        command_line.print_json(rows)
    else:
        command_line.Rows(columns, form).print([[each[name] for name in columns] for each in rows])
