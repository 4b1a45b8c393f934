"""The commands `member find`, `numbers` and `contacts` of `idtone-office`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from idtone.core.number_spans import NumberSpan
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.local_registry import from_folder
from idtone.registry.model import Member, NeverOriginatesEntry, SuspensionEntry
from idtone.registry.never_originating import span_of
from idtone.registry.number_notation import read_span, span_notation
from idtone.registry.registry_report import member_lines, member_report, suspension_lines, suspension_reports
from idtone.registry.suspended_numbers import scope_of

from ..authority.area_code_counts import area_code_of, counts_by_area_code, whole_span
from ..authority.change_registry import registry_of
from ..authority.member_contacts import COLUMNS, contact_rows
from ..authority.registry_edits import check_member
from ..authority.workspace import Workspace
from .never_originating import never_originating_line, never_originating_report
from .options import FolderOption, ask_number


def find_members(
    folder: FolderOption,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Part of a name or id. Without it, a number is asked for.")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Find members by a part of their names or ids, or by a number, and show their suspensions.

    The command asks for the number, because other users can see a command line. If the number has a wholesale chain,
    the command finds each member of the chain. Exit 1: nothing was found.
    """
    with checking():
        seen, now = from_folder(folder), datetime.now(UTC)
    stopped: list[SuspensionEntry] = []
    never: list[NeverOriginatesEntry] = []
    if text is not None:
        members = [entry for entry in seen.document.members if text.casefold() in _words(entry)]
        found = {entry.id for entry in members}
        stopped = [entry for entry in seen.document.suspensions if entry.member in found]
        never = [entry for entry in seen.document.never_originates or () if text.casefold() in entry.holder.casefold()]
    else:
        number = ask_number()
        with checking():
            holding = seen.index().holding(number, now)
        ids = holding.members if holding else ()
        members = [entry for entry in seen.document.members if entry.id in ids]
        stopped = [entry for entry in seen.document.suspensions if _concerns(entry, int(number.e164), ids)]
        never = [entry for entry in seen.document.never_originates or () if int(number.e164) in span_of(entry)]
    reports = [member_report(entry, now) for entry in members]
    suspensions = suspension_reports(stopped, now)
    if as_json:
        command_line.print_json({"members": reports, "suspensions": suspensions, **_listed(never, now)})
    else:
        lines = [line for report in reports for line in member_lines(report)]
        if suspensions:
            lines += suspension_lines(suspensions)
        if never:
            lines += [
                Message("never originates"),
                *(f"  {never_originating_line(entry)}" for entry in never),
            ]
        print(*map(translated, lines or [Message("nothing was found")]), sep="\n")
    if not members and not stopped and not never:
        command_line.exit_negative()


def list_numbers(
    folder: FolderOption,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id in the registry.")],
    as_json: command_line.JsonOption = False,
) -> None:
    """List the numbers of a member in full, with their area codes.

    Numbers are personal: print the list only where the office needs it.
    """
    with checking():
        seen = registry_of(Workspace(folder))
    held = next(each for each in seen.members if each.id == check_member(seen, member))
    spans = [*map(read_span, held.numbers)]
    if as_json:
        command_line.print_json(
            {
                "member": member,
                "numbers": [
                    {"entry": span_notation(each), "area": area_code_of(each), "count": len(each)} for each in spans
                ],
                "areas": counts_by_area_code(spans),
            }
        )
        return
    command_line.Rows(("numbers", "area")).print((translated(whole_span(each)), area_code_of(each)) for each in spans)
    command_line.say("by area code: {areas}", areas=counts_by_area_code(spans) or "–")


def list_contacts(
    folder: FolderOption,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the contacts of members: corporate number, notification, web and mail address.

    `member describe` records them. The public list shows them, so they have no telephone number.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    with checking():
        rows = contact_rows(registry_of(Workspace(folder)).members)
    if form is command_line.Form.JSON:
        command_line.print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        command_line.Rows(COLUMNS, form).print(rows)


def _listed(never: list[NeverOriginatesEntry], now: datetime) -> dict[str, Any]:
    return {"never_originates": [never_originating_report(entry, now) for entry in never]}


def _concerns(entry: SuspensionEntry, number: int, members: Collection[str]) -> bool:
    scope = scope_of(entry)
    return number in scope if isinstance(scope, NumberSpan) else scope in members


def _words(member: Member) -> str:
    licences = (licence.id for licence in member.licences)
    return "\n".join((member.id, member.name.ja, member.name.en, *licences)).casefold()
