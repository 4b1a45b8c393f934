"""The commands `never-originating add`, `remove` and `list` of `idtone-office`.

Holders such as police stations, banks and public offices request the entries. Two people enter the numbers, and the
second confirms with a signature.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from idtone.core.japan_time import end_words
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking
from idtone.registry.model import NeverOriginatesEntry
from idtone.registry.never_originating import span_of
from idtone.registry.number_notation import masked

from ..authority.change_registry import never_originates_of
from ..authority.enter_suspensions import SuspensionTerms
from ..authority.enter_suspensions import enter_never_originating as enter
from ..authority.enter_suspensions import remove_never_originating as remove
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, ask_two_for_range, attribution_for


def add_never_originating(
    folder: FolderOption,
    holder: Annotated[str, typer.Option(metavar="NAME", help="Who holds the numbers.")],
    reference: Annotated[str, typer.Option(metavar="TEXT", help="The document by which the holder asked.")],
    requested: Annotated[str, typer.Option(metavar="MOMENT", help="When the holder asked.")],
    since: Annotated[str | None, typer.Option(metavar="MOMENT", help="The start of the entry (default: now).")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="The end of the entry (default: when it is removed).")
    ] = None,
    why: WhyOption = "requested by the holder",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a number, range or prefix that never originates calls. Two people enter it, and both sign it."""
    attribution = attribution_for(why)
    terms = SuspensionTerms.parse(
        reference,
        requested,
        since,
        until,
        holder,
        attribution.at,
        lambda field: "--holder" if field == "authority" else f"--{field}",
    )
    span = ask_two_for_range()
    with checking():
        entry = enter(Workspace(folder), span, terms, attribution)
    print_change(entry, as_json)


def remove_never_originating(folder: FolderOption, why: WhyOption, as_json: command_line.JsonOption = False) -> None:
    """Remove an entry of numbers that never originate. Two people enter which, and both sign it."""
    attribution = attribution_for(why)
    span = ask_two_for_range()
    with checking():
        entry = remove(Workspace(folder), span, attribution)
    print_change(entry, as_json)


def list_never_originating(folder: FolderOption, as_json: command_line.JsonOption = False) -> None:
    """List the numbers that never originate, with their holders (last four digits only)."""
    now = datetime.now(UTC)
    with checking():
        document = never_originates_of(Workspace(folder))
    if as_json:
        entries = document.never_originates if document else None
        command_line.print_json(
            {"entries": None if entries is None else [never_originating_report(each, now) for each in entries]}
        )
    elif document is None:
        command_line.say("there is no list yet; `idtone-office never-originating add` begins it")
    else:
        print(*map(never_originating_line, document.never_originates), sep="\n")
        command_line.say("{count:,} entries", count=len(document.never_originates))


def never_originating_report(entry: NeverOriginatesEntry, now: datetime) -> dict[str, Any]:
    """JSON form of an entry, with only the last four digits of its numbers."""
    return {
        "numbers": masked(span_of(entry)), "holder": entry.holder, "reference": entry.reference, "why": entry.why,
        "since": entry.since.isoformat(), "until": entry.until and entry.until.isoformat(),
        "in_force": entry.in_force(now),
    }  # fmt: skip


def never_originating_line(entry: NeverOriginatesEntry) -> str:
    """Describe an entry for numbers that never originate calls in one line of text."""
    until = f" until {end_words(entry.until)}" if entry.until else ""
    why = f", {entry.why}" if entry.why else ""
    since = entry.since.isoformat()
    return f"{masked(span_of(entry))}  {entry.holder}  since {since}{until}  reference {entry.reference}{why}"
