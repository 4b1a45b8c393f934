"""`idtone registry apply | review | grant | …`: what the desk decides, entered into the files and their history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone import console
from idtone.calls import LicenceStatus
from idtone.errors import UsageError

from ..model import JAPAN
from ..trust import layout
from . import changes, changing
from .desk import Desk
from .history import Entry, Result, Verb
from .options import (
    ByHandConfirmed,
    ByOption,
    FolderArgument,
    WhyOption,
    entries_asked,
    line,
    moment,
    number_asked,
    word,
)

ApplicationArgument = Annotated[str, typer.Argument(metavar="APPLICATION", help="The id in the application.")]
LicenceArgument = Annotated[str, typer.Argument(metavar="LICENCE", help="The licence's id.")]
MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")]
UntilOption = Annotated[
    str, typer.Option(metavar="MOMENT", help="Up to but not at: a day in Japan, or ISO 8601 with its time zone.")
]
NumbersOption = Annotated[
    Path | None,
    typer.Option("--numbers", metavar="FILE", help="Numbers, ranges and prefixes, one a line (default: asked for)."),
]
ConfirmedOption = Annotated[str, typer.Option(metavar="NAME", help="Who confirms it: another person than --by.")]


def apply(
    folder: FolderArgument,
    application: Annotated[Path, typer.Argument(metavar="FILE", help="The application (YAML).")],
    by: ByOption,
    why: WhyOption = "application received",
    as_json: console.JsonOption = False,
) -> None:
    """Take in a member's application: read, held against the registry, and kept as it is."""
    taken, entry = changing.apply(Desk(folder), application, word(by, why))
    _print(entry, as_json, f"application {taken.id} of {taken.member.name.ja} / {taken.member.name.en} is taken in")


def review(
    folder: FolderArgument,
    application: ApplicationArgument,
    result: Annotated[Result, typer.Option(help="What the examination has given.")],
    by: ByOption,
    why: WhyOption,
    as_json: console.JsonOption = False,
) -> None:
    """Enter the examination of an application: who examined, and the result."""
    entry = changing.review(Desk(folder), application, result, word(by, why))
    _print(entry, as_json, f"application {application} has {result} its review" if result is Result.PASSED else
           f"application {application} is refused")  # fmt: skip


def grant(
    folder: FolderArgument,
    application: ApplicationArgument,
    until: UntilOption,
    by: ByOption,
    start: Annotated[str | None, typer.Option("--from", metavar="MOMENT", help="From when on (default: now).")] = None,
    why: WhyOption = "passed its review",
    as_json: console.JsonOption = False,
) -> None:
    """Grant what an application asks for: the member, the licences, the numbers."""
    begins = moment(start, "--from") if start else datetime.now(UTC).astimezone(JAPAN).replace(microsecond=0)
    _print(changing.grant(Desk(folder), application, begins, moment(until, "--until"), word(by, why)), as_json)


def renew(
    folder: FolderArgument, licence: LicenceArgument, until: UntilOption, by: ByOption, why: WhyOption,
    as_json: console.JsonOption = False,
) -> None:  # fmt: skip
    """Let a licence count for longer."""
    end = moment(until, "--until")
    entry = changing.change_registry(
        Desk(folder), Verb.RENEW, licence, word(by, why),
        lambda text, document: changes.renewed(text, document, licence, end),
    )  # fmt: skip
    _print(entry, as_json)


def suspend_licence(
    folder: FolderArgument, licence: LicenceArgument, by: ByOption, why: WhyOption, as_json: console.JsonOption = False
) -> None:
    """Suspend a licence for a while: calls of its member are announced no more."""
    _set_status(folder, licence, Verb.SUSPEND_LICENCE, LicenceStatus.SUSPENDED, by, why, as_json)


def resume_licence(
    folder: FolderArgument, licence: LicenceArgument, by: ByOption, why: WhyOption, as_json: console.JsonOption = False
) -> None:
    """Let a suspended licence count again."""
    _set_status(folder, licence, Verb.RESUME_LICENCE, LicenceStatus.ACTIVE, by, why, as_json)


def revoke(
    folder: FolderArgument, licence: LicenceArgument, by: ByOption, why: WhyOption, as_json: console.JsonOption = False
) -> None:
    """Revoke a licence for good. Another one has to be applied for."""
    _set_status(folder, licence, Verb.REVOKE, LicenceStatus.REVOKED, by, why, as_json)


def _set_status(
    folder: Path, licence: str, verb: Verb, status: LicenceStatus, by: str, why: str, as_json: bool
) -> None:
    entry = changing.change_registry(
        Desk(folder), verb, licence, word(by, why),
        lambda text, document: changes.with_status(text, document, licence, status),
    )  # fmt: skip
    _print(entry, as_json)


def assign_number(
    folder: FolderArgument, member: MemberArgument, by: ByOption, why: WhyOption, numbers: NumbersOption = None,
    as_json: console.JsonOption = False,
) -> None:  # fmt: skip
    """Give a member more numbers. They are asked for, or read from a file: a command line is seen by others."""
    entries = entries_asked(numbers)
    entry = changing.change_registry(
        Desk(folder), Verb.ASSIGN_NUMBER, member, word(by, why),
        lambda text, document: changes.assigned(text, document, member, entries),
    )  # fmt: skip
    _print(entry, as_json)


def release_number(
    folder: FolderArgument, member: MemberArgument, by: ByOption, why: WhyOption, numbers: NumbersOption = None,
    as_json: console.JsonOption = False,
) -> None:  # fmt: skip
    """Take numbers back from a member, also from within a range, whose rest stays."""
    entries = entries_asked(numbers)
    entry = changing.change_registry(
        Desk(folder), Verb.RELEASE_NUMBER, member, word(by, why),
        lambda text, document: changes.released(text, document, member, entries),
    )  # fmt: skip
    _print(entry, as_json)


def prolong(
    folder: FolderArgument, until: UntilOption, by: ByOption, why: WhyOption, as_json: console.JsonOption = False
) -> None:
    """Let the registry itself count for longer (`expires`); licences keep their own terms."""
    end = moment(until, "--until")
    entry = changing.change_registry(
        Desk(folder), Verb.PROLONG, layout.REGISTRY_FILE, word(by, why), lambda text, _: changes.prolonged(text, end)
    )
    _print(entry, as_json)


def suspend_number(
    folder: FolderArgument,
    reference: Annotated[str, typer.Option(metavar="TEXT", help="The police's reference.")],
    requested: Annotated[str, typer.Option(metavar="MOMENT", help="When they asked for it.")],
    by: ByOption,
    confirmed_by: ConfirmedOption,
    since: Annotated[str | None, typer.Option(metavar="MOMENT", help="From when on (default: now).")] = None,
    why: WhyOption = "requested by the police",
    as_json: console.JsonOption = False,
) -> None:
    """Stop a number that the police want stopped (番号停止). It takes two people, each of whom enters the number."""
    said = word(by, why, confirmed_by)
    line(reference, "--reference")
    asked_at, begins = moment(requested, "--requested"), moment(since, "--since") if since else said.at
    if asked_at > said.at:
        raise UsageError("--requested is in the future; write when they asked")
    number, now = number_asked(confirmed=True), _second(said.at)
    entry = changing.change_suspensions(
        Desk(folder), Verb.SUSPEND_NUMBER, reference, said,
        lambda text, document: changes.suspended(text, document, number, _second(begins), reference, now),
        requested=asked_at,
    )  # fmt: skip
    _print(entry, as_json)


def lift(
    folder: FolderArgument,
    by: ByOption,
    confirmed_by: ConfirmedOption,
    why: WhyOption,
    as_json: console.JsonOption = False,
) -> None:
    """Let a number be forwarded again. It takes two people, each of whom enters the number."""
    said = word(by, why, confirmed_by)
    number = number_asked(confirmed=True)
    entry = changing.change_suspensions(
        Desk(folder), Verb.LIFT, layout.SUSPENSIONS_FILE, said,
        lambda text, document: changes.lifted(text, document, number, _second(said.at)),
    )  # fmt: skip
    _print(entry, as_json)


def _second(at: datetime) -> datetime:
    return at.astimezone(JAPAN).replace(microsecond=0)


def note(
    folder: FolderArgument,
    by: ByOption,
    why: WhyOption,
    confirmed_by: ByHandConfirmed = None,
    as_json: console.JsonOption = False,
) -> None:
    """Enter into the history what was changed by hand in the two files."""
    desk = Desk(folder)
    entries = changing.enter_edits(desk, word(by, why, confirmed_by), desk.unexplained())
    if not entries:
        raise UsageError(f"{folder}: nothing was changed by hand")
    if as_json:
        console.print_json([plain(entry) for entry in entries])
        return
    for entry in entries:
        print(*told(entry), sep="\n")


def plain(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude_none=True)


def told(entry: Entry) -> list[str]:
    """An entry for people."""
    account = f" [{entry.account}]" if entry.account else ""
    who = f"{entry.by}{account}" + (f", confirmed by {entry.confirmed_by}" if entry.confirmed_by else "")
    result = f": {entry.result}" if entry.result else ""
    asked = f" (requested {_second(entry.requested):%Y-%m-%d %H:%M})" if entry.requested else ""
    head = f"{_second(entry.at):%Y-%m-%d %H:%M}  {entry.verb}{result}  {entry.subject}{asked}  by {who}: {entry.why}"
    return [head, *(f"  {words}" for words in entry.what)]


def _print(entry: Entry, as_json: bool, *more: str) -> None:
    if as_json:
        console.print_json(plain(entry))
    else:
        print(*more, *told(entry), sep="\n")
        if entry.what:
            print("members have it when it is published")
