"""The commands `application accept`, `review`, `list` and `grant` of `idtone-office`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text
from idtone.registry.commands.check_progress import checking

from ..authority import change_registry
from ..authority.history import ApplicationStatus, ReviewResult
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, attribution_for, in_japan, parse_end, parse_moment

ApplicationArgument = Annotated[str, typer.Argument(metavar="APPLICATION", help="The application's id.")]


def accept(
    folder: FolderOption,
    application: Annotated[Path, typer.Argument(metavar="FILE", help="The application (YAML).")],
    why: WhyOption = "application received",
    as_json: command_line.JsonOption = False,
) -> None:
    """Accept a member's application: check it against the registry, and keep it unchanged."""
    with checking():
        kept, entry = change_registry.accept_application(
            Workspace(folder), read_text(application), str(application), attribution_for(why)
        )
    name = kept.member.name
    accepted = Message("application {id} of {ja} / {en} is accepted", id=kept.id, ja=name.ja, en=name.en)
    print_change(entry, as_json, accepted)


def review(
    folder: FolderOption,
    application: ApplicationArgument,
    result: Annotated[ReviewResult, typer.Option(help="The result of the examination.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the examination of an application and its result."""
    entry = change_registry.review_application(Workspace(folder), application, result, attribution_for(why))
    told = (
        Message("application {id} has passed its review", id=application)
        if result is ReviewResult.PASSED
        else Message("application {id} is refused", id=application)
    )
    print_change(entry, as_json, told)


def list_applications(
    folder: FolderOption,
    everything: Annotated[bool, typer.Option("--all", help="Also granted and refused applications.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show which applications are waiting, and for what."""
    shown = [
        {
            "id": asked.id,
            "received": asked.received.isoformat(),
            "member": asked.member.id,
            "name_ja": asked.member.name.ja,
            "name_en": asked.member.name.en,
            "status": status,
        }
        for asked, status in change_registry.accepted_applications(Workspace(folder))
        if everything or status not in (ApplicationStatus.GRANTED, ApplicationStatus.REFUSED)
    ]
    if as_json:
        command_line.print_json(shown)
        return
    for each in shown:
        print(f"{each['id']}  {each['status']}")
        command_line.say(
            "  received {received}, {member}  {name_ja} / {name_en}",
            received=each["received"],
            member=each["member"],
            name_ja=each["name_ja"],
            name_en=each["name_en"],
        )
    if not shown:
        command_line.say("no application waits")


def grant(
    folder: FolderOption,
    application: ApplicationArgument,
    until: Annotated[
        str,
        typer.Option(
            metavar="MOMENT",
            help="The last day of the licences, in Japan; or the moment of their end, in ISO 8601 with its time zone.",
        ),
    ],
    since: Annotated[
        str | None, typer.Option("--since", metavar="MOMENT", help="The start of the licences (default: now).")
    ] = None,
    why: WhyOption = "passed its review",
    as_json: command_line.JsonOption = False,
) -> None:
    """Grant what an application asks for: enter the member, the licences and the numbers."""
    begins = parse_moment(since, "--since") if since else in_japan(datetime.now(UTC))
    ends = parse_end(until, "--until")
    with checking():
        entry = change_registry.grant_application(Workspace(folder), application, begins, ends, attribution_for(why))
    print_change(entry, as_json)
