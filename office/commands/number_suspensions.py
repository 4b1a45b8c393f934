"""Commands of `idtone-office` that suspend numbers and members and end suspensions.

Two people type each number that the police want suspended. Publishing a suspension requires two holders' keys, and
their signatures cover its line in the history.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.number_spans import NumberSpan
from idtone.core.terminal import command_line
from idtone.core.translation import Message
from idtone.registry.commands.check_progress import checking
from idtone.registry.model import SuspensionKind
from idtone.registry.trust import tuf_roles

from ..authority.change_registry import change_suspensions, registry_of, suspensions_of
from ..authority.enter_suspensions import SuspensionTerms, suspend
from ..authority.history import Action
from ..authority.registry_edits import check_member
from ..authority.stopped_number_holders import check_held, describe_holders, holders_of
from ..authority.suspension_edits import delete_suspension, remaining_suspensions
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import (
    FolderOption,
    WhyOption,
    ask_two_for_member,
    ask_two_for_number,
    ask_two_for_range,
    ask_two_for_suspended,
    attribution_for,
    in_japan,
)

_POLICE = "requested by the police"
_ReferenceOption = Annotated[str, typer.Option(metavar="TEXT", help="The reference of the police's request.")]
_RequestedOption = Annotated[str, typer.Option(metavar="MOMENT", help="When the police made the request.")]
_SinceOption = Annotated[str | None, typer.Option(metavar="MOMENT", help="The start of the suspension (default: now).")]
_UntilOption = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="The end of the suspension (default: when it is lifted).")
]
_NoHolderOption = Annotated[
    bool, typer.Option("--no-holder", help="Stop the number although no member holds it: such a stop has no effect.")
]
_AuthorityOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Who made the request.")]
_MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id in the registry.")]


def suspend_number(
    folder: FolderOption,
    reference: _ReferenceOption,
    requested: _RequestedOption,
    since: _SinceOption = None,
    until: _UntilOption = None,
    authority: _AuthorityOption = None,
    no_holder: _NoHolderOption = False,
    why: WhyOption = _POLICE,
    as_json: command_line.JsonOption = False,
) -> None:
    """Stop a number that the police want stopped (番号停止). Two people enter the number, and both sign it.

    The command shows which member holds the number. If no member does, the suspension has no effect.
    """

    def asked() -> NumberSpan:
        number = int(ask_two_for_number().e164)
        return NumberSpan(number, number)

    _suspend(
        folder,
        Action.SUSPEND_NUMBER,
        asked,
        reference,
        requested,
        since,
        until,
        authority,
        why,
        as_json,
        needs_holder=not no_holder,
    )


def suspend_range(
    folder: FolderOption,
    reference: _ReferenceOption,
    requested: _RequestedOption,
    since: _SinceOption = None,
    until: _UntilOption = None,
    authority: _AuthorityOption = None,
    why: WhyOption = _POLICE,
    as_json: command_line.JsonOption = False,
) -> None:
    """Stop a range or a prefix of numbers (番号停止). Two people enter it, and both sign it."""
    _suspend(
        folder, Action.SUSPEND_RANGE, ask_two_for_range, reference, requested, since, until, authority, why, as_json
    )


def suspend_member(
    folder: FolderOption,
    reference: _ReferenceOption,
    requested: _RequestedOption,
    since: _SinceOption = None,
    until: _UntilOption = None,
    authority: _AuthorityOption = None,
    why: WhyOption = _POLICE,
    as_json: command_line.JsonOption = False,
) -> None:
    """Stop all numbers of a member, including those that it gets later. Two people enter its id, and both sign it."""

    def asked() -> str:
        return _known(folder, ask_two_for_member())

    _suspend(folder, Action.SUSPEND_MEMBER, asked, reference, requested, since, until, authority, why, as_json)


def no_new_numbers(
    folder: FolderOption,
    member: _MemberArgument,
    reference: _ReferenceOption,
    requested: _RequestedOption,
    since: _SinceOption = None,
    until: _UntilOption = None,
    authority: _AuthorityOption = None,
    why: WhyOption = _POLICE,
    as_json: command_line.JsonOption = False,
) -> None:
    """Give a member no more numbers: `application grant` and `number assign` refuse them. Two people sign it."""

    def asked() -> str:
        return _known(folder, member)

    _suspend(folder, Action.NO_NEW_NUMBERS, asked, reference, requested, since, until, authority, why, as_json)


def lift_suspension(folder: FolderOption, why: WhyOption, as_json: command_line.JsonOption = False) -> None:
    """End the suspension of a number, a range or a member. Two people enter which, and both sign it.

    If you end the suspension of a part of a suspended range, the rest stays suspended. The command names other
    suspensions that still cover the numbers.
    """
    attribution, workspace = attribution_for(why), Workspace(folder)
    scope = ask_two_for_suspended()
    with checking():
        entry = change_suspensions(
            workspace,
            Action.LIFT,
            tuf_roles.SUSPENSIONS_FILE,
            attribution,
            lambda text, document: delete_suspension(text, document, scope, in_japan(attribution.at)),
        )
        holders = holders_of(workspace, scope, attribution.at) or []
    members = {each.member for each in holders}
    still = remaining_suspensions(suspensions_of(workspace), scope, members, attribution.at)
    noted = [Message("STILL SUSPENDED by reference {reference}", reference=each) for each in still]
    print_change(entry, as_json, *noted, still_suspended=still)


def allow_new_numbers(
    folder: FolderOption, member: _MemberArgument, why: WhyOption, as_json: command_line.JsonOption = False
) -> None:
    """Let a member get numbers again. Two people sign it."""
    attribution = attribution_for(why)
    with checking():
        entry = change_suspensions(
            Workspace(folder),
            Action.ALLOW_NEW_NUMBERS,
            member,
            attribution,
            lambda text, document: delete_suspension(
                text, document, member, in_japan(attribution.at), SuspensionKind.NO_NEW_NUMBERS
            ),
        )
    print_change(entry, as_json)


def _known(folder: Path, member: str) -> str:
    with checking():
        return check_member(registry_of(Workspace(folder)), member)


def _suspend(
    folder: FolderOption,
    action: Action,
    asked: Callable[[], NumberSpan | str],
    reference: str,
    requested: str,
    since: str | None,
    until: str | None,
    authority: str | None,
    why: str,
    as_json: bool,
    needs_holder: bool = False,
) -> None:
    attribution = attribution_for(why)
    terms = SuspensionTerms.parse(
        reference, requested, since, until, authority, attribution.at, lambda field: f"--{field}"
    )
    workspace, scope = Workspace(folder), asked()
    with checking():
        holders = holders_of(workspace, scope, attribution.at)
    if needs_holder:
        check_held(holders)
    with checking():
        entry = suspend(workspace, action, scope, terms, attribution)
    plain = None if holders is None else [asdict(each) for each in holders]
    print_change(entry, as_json, describe_holders(holders), holders=plain)
