"""Prints history entries for the commands of `idtone-office`."""

from typing import Any

from idtone.core.terminal import command_line
from idtone.core.translation import Message, joined, translated

from ..authority.history import HistoryEntry
from .options import in_japan


def entry_to_json(entry: HistoryEntry) -> dict[str, Any]:
    """JSON form of a history entry for command output, without empty fields."""
    return entry.model_dump(mode="json", exclude_none=True)


def entry_lines(entry: HistoryEntry) -> list[str]:
    """Describe a history entry with a headline and one line per difference."""
    result = f": {entry.result}" if entry.result else ""
    asked = (
        Message(" (requested {requested:%Y-%m-%d %H:%M})", requested=in_japan(entry.requested))
        if entry.requested
        else ""
    )
    head = Message(
        "{at:%Y-%m-%d %H:%M}  {action}{result}  {subject}{asked}",
        at=in_japan(entry.at),
        action=entry.action,
        result=result,
        subject=entry.subject,
        asked=asked,
    )
    entered = Message(", entered by {entered_by}", entered_by=entry.entered_by) if entry.entered_by else ""
    return [
        Message("{head}  by {by}{entered}: {why}", head=head, by=entry.by, entered=entered, why=entry.why),
        *(joined("", ("  ", difference)) for difference in entry.what),
    ]


def print_change(entry: HistoryEntry, as_json: bool, *before: str, **more: object) -> None:
    """Print a command's change to the registry as text or JSON.

    `before` holds lines that come first in the text. `more` holds additional JSON fields.
    """
    if as_json:
        command_line.print_json({**entry_to_json(entry), **more})
        return
    print(*map(translated, (*before, *entry_lines(entry))), sep="\n")
    if entry.what:
        command_line.say("publish it, so that members get it")
