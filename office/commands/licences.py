"""Commands of `idtone-office` that change a member's entries or the registry's term."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.calls import LicenceStatus
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust import tuf_roles

from ..authority import registry_edits
from ..authority.change_registry import assign_numbers, change_registry, record_particulars, release_numbers
from ..authority.history import Action
from ..authority.record_pledge import record_pledge
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, ask_number_entries, attribution_for, parse_end

LicenceArgument = Annotated[str, typer.Argument(metavar="LICENCE", help="The licence's id.")]
MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")]
NodeKeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The node's key, as `idtone-office document key` prints it on the node.")
]
UntilOption = Annotated[
    str,
    typer.Option(
        metavar="MOMENT", help="The new last day, in Japan; or the moment of the end, in ISO 8601 with its time zone."
    ),
]
NumbersOption = Annotated[
    Path | None,
    typer.Option(
        "--numbers",
        metavar="FILE",
        help="Numbers, ranges and prefixes, one per line, or a spreadsheet's CSV (default: asked for).",
    ),
]


def renew_licence(
    folder: FolderOption,
    licence: LicenceArgument,
    until: UntilOption,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Extend a licence."""
    ends = parse_end(until, "--until")
    with checking():
        entry = change_registry(
            Workspace(folder),
            Action.RENEW,
            licence,
            attribution_for(why),
            lambda text, document: registry_edits.set_licence_end(text, document, licence, ends),
        )
    print_change(entry, as_json)


def suspend_licence(
    folder: FolderOption, licence: LicenceArgument, why: WhyOption, as_json: command_line.JsonOption = False
) -> None:
    """Suspend a licence for a time: its member's calls no longer get the association's sound."""
    _set_status(folder, licence, Action.SUSPEND_LICENCE, LicenceStatus.SUSPENDED, why, as_json)


def resume_licence(
    folder: FolderOption, licence: LicenceArgument, why: WhyOption, as_json: command_line.JsonOption = False
) -> None:
    """Make a suspended licence valid again."""
    _set_status(folder, licence, Action.RESUME_LICENCE, LicenceStatus.ACTIVE, why, as_json)


def revoke_licence(
    folder: FolderOption, licence: LicenceArgument, why: WhyOption, as_json: command_line.JsonOption = False
) -> None:
    """Revoke a licence for good. The member has to apply for another one."""
    _set_status(folder, licence, Action.REVOKE, LicenceStatus.REVOKED, why, as_json)


def _set_status(folder: Path, licence: str, action: Action, status: LicenceStatus, why: str, as_json: bool) -> None:
    with checking():
        entry = change_registry(
            Workspace(folder),
            action,
            licence,
            attribution_for(why),
            lambda text, document: registry_edits.set_licence_status(text, document, licence, status),
        )
    print_change(entry, as_json)


def enter_pledge(
    folder: FolderOption,
    member: MemberArgument,
    document: Annotated[str, typer.Option(metavar="VERSION", help="The version of the pledge's text.")],
    sha256: Annotated[str, typer.Option(metavar="SHA-256", help="The SHA-256 of the file with the pledge's text.")],
    signatory: Annotated[str, typer.Option(metavar="TEXT", help="Who signed it for the member.")],
    signed: Annotated[str, typer.Option(metavar="DAY", help="The day of the signature.")],
    until: Annotated[str, typer.Option(metavar="DAY", help="The last day on which it is in force.")],
    why: WhyOption = "pledge received",
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the pledge (誓約) that a member has signed, or its renewal. Without one, no licence is valid."""
    with checking():
        entry = record_pledge(
            Workspace(folder),
            member,
            document,
            sha256,
            signatory,
            signed,
            until,
            attribution_for(why),
            lambda field: f"--{field}",
        )
    print_change(entry, as_json)


def describe_member(
    folder: FolderOption,
    member: MemberArgument,
    why: WhyOption,
    corporate_number: Annotated[str, typer.Option(metavar="NUMBER", help="法人番号, 13 digits.")] = "",
    notification: Annotated[str, typer.Option(metavar="TEXT", help="届出番号 or 登録番号 as a carrier.")] = "",
    web: Annotated[str, typer.Option(metavar="ADDRESS", help="A web page where the public can contact it.")] = "",
    mail: Annotated[str, typer.Option(metavar="ADDRESS", help="A mail address for the public.")] = "",
    as_json: command_line.JsonOption = False,
) -> None:
    """Record a member's entry in the public list: corporate number, notification, web and mail address.

    Facts that you do not give stay as they were recorded.
    """
    fields = {"corporate_number": corporate_number, "notification": notification, "web": web, "mail": mail}
    with checking():
        entry = record_particulars(Workspace(folder), member, fields, attribution_for(why))
    print_change(entry, as_json)


def assign_number(
    folder: FolderOption,
    member: MemberArgument,
    why: WhyOption,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Assign more numbers to a member. The command asks for them or reads a file, because others can see a command
    line.
    """
    entries = ask_number_entries(numbers)
    with checking():
        entry = assign_numbers(Workspace(folder), member, entries, attribution_for(why))
    print_change(entry, as_json)


def release_number(
    folder: FolderOption,
    member: MemberArgument,
    why: WhyOption,
    numbers: NumbersOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Take numbers back from a member. They may be a part of a range; the rest of the range stays."""
    entries = ask_number_entries(numbers)
    with checking():
        entry = release_numbers(Workspace(folder), member, entries, attribution_for(why))
    print_change(entry, as_json)


def add_node_key(
    folder: FolderOption,
    member: MemberArgument,
    key: NodeKeyArgument,
    why: WhyOption = "key of a node",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter the key of a member's node: the desk then accepts the documents that the node signs."""
    with checking():
        entry = change_registry(
            Workspace(folder),
            Action.ADD_NODE_KEY,
            member,
            attribution_for(why),
            lambda text, document: registry_edits.insert_node_key(text, document, member, key.strip()),
        )
    print_change(entry, as_json)


def remove_node_key(
    folder: FolderOption,
    member: MemberArgument,
    key: NodeKeyArgument,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Remove the key of a member's node, because the node or its key is gone."""
    with checking():
        entry = change_registry(
            Workspace(folder),
            Action.REMOVE_NODE_KEY,
            member,
            attribution_for(why),
            lambda text, document: registry_edits.delete_node_key(text, document, member, key.strip()),
        )
    print_change(entry, as_json)


def prolong_registry(
    folder: FolderOption, until: UntilOption, why: WhyOption, as_json: command_line.JsonOption = False
) -> None:
    """Extend the registry itself (`expires`); licences keep their own terms."""
    ends = parse_end(until, "--until")
    with checking():
        entry = change_registry(
            Workspace(folder),
            Action.PROLONG,
            tuf_roles.REGISTRY_FILE,
            attribution_for(why),
            lambda text, _: registry_edits.set_registry_end(text, ends),
        )
    print_change(entry, as_json)
