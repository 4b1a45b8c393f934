"""Records wholesale chain (卸) links in the registry: which member hands numbers on to which reseller.

If a function raises IdtoneError, it has changed nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.registry.model import RegistryDocument

from .change_registry import Attribution, change_registry, suspensions_of
from .history import Action, HistoryEntry
from .registry_edits import delete_link, insert_link, set_link_check
from .suspension_edits import refuse_suspended
from .typed_dates import in_japan, parse_day
from .workspace import Workspace
from .yaml_text import YamlText

LinkCheck = Mapping[str, str | date]
"""A wholesaler's check of a reseller: the fields `by`, `day` and `document` in the registry's `checked`."""


def parse_link_check(checked: str, document: str, by: str, now: datetime, name: Callable[[str], str]) -> LinkCheck:
    """Parse the typed day and document of a wholesaler's check on a reseller.

    `name` maps a parameter to the field name shown in error messages.
    """
    checked_on = parse_day(checked, name("checked"))
    if checked_on > in_japan(now).date():
        raise UsageError("{option} is in the future; write the day of the check", option=name("checked"))
    return {"by": by, "day": checked_on, "document": checked_line(document, name("document"))}


def add_link(
    workspace: Workspace,
    wholesaler: str,
    reseller: str,
    entries: Sequence[str],
    check: LinkCheck | None,
    attribution: Attribution,
) -> HistoryEntry:
    """Record that a wholesaler hands numbers on to a reseller.

    Raises UsageError if the reseller may not receive new numbers or any of the numbers is suspended.
    """
    entry = _only(entries)

    def edit(text: YamlText, registry: RegistryDocument) -> None:
        refuse_suspended(suspensions_of(workspace), reseller, entries, attribution.at)
        insert_link(text, registry, entry, wholesaler, reseller, check)

    return change_registry(workspace, Action.ADD_LINK, reseller, attribution, edit)


def check_link(
    workspace: Workspace, reseller: str, entries: Sequence[str], check: LinkCheck, attribution: Attribution
) -> HistoryEntry:
    """Record the wholesaler's check of a reseller, replacing any older one."""
    entry = _only(entries)
    return change_registry(
        workspace,
        Action.CHECK_LINK,
        reseller,
        attribution,
        lambda text, registry: set_link_check(text, registry, entry, reseller, check),
    )


def remove_link(workspace: Workspace, reseller: str, entries: Sequence[str], attribution: Attribution) -> HistoryEntry:
    """Remove the last reseller from the numbers' wholesale chain."""
    entry = _only(entries)
    return change_registry(
        workspace,
        Action.REMOVE_LINK,
        reseller,
        attribution,
        lambda text, registry: delete_link(text, registry, entry, reseller),
    )


def _only(entries: Sequence[str]) -> str:
    if len(entries) > 1:
        raise UsageError("a wholesale chain has one entry of numbers; enter each by itself")
    return entries[0]
