"""Enters certifications (認定) of members and resellers in the registry. All functions raise IdtoneError."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line

from .change_registry import Attribution, change_registry
from .history import Action, HistoryEntry
from .registry_edits import set_certification, set_link_certification
from .typed_dates import parse_day, parse_day_after
from .workspace import Workspace

Certified = Mapping[str, str | date]
"""The fields of `certification` in the registry."""
_READ: Final[Mapping[str, Callable[[str, str], str | date]]] = {
    "until": parse_day_after,
    "next_check": parse_day,
    "mark_until": parse_day_after,
}


def certification(given: Mapping[str, str | None], name: Callable[[str], str]) -> Certified:
    """The certification, parsed from the text of each field. `name` gives a field's name for an error. The two fields
    of the mark are either both present or both missing.
    """
    fields: dict[str, str | date] = {}
    for key in ("number", "until", "document", "next_check", "mark", "mark_until"):
        text = given.get(key) or ""
        if not text and key.startswith("mark"):
            continue
        fields[key] = _READ.get(key, checked_line)(text, name(key))
    if ("mark" in fields) != ("mark_until" in fields):
        raise UsageError("{mark} and {end} go together", mark=name("mark"), end=name("mark_until"))
    return fields


def certify_member(workspace: Workspace, member: str, fields: Certified, attribution: Attribution) -> HistoryEntry:
    """Record a member's certification; it replaces an older one."""
    return change_registry(
        workspace,
        Action.CERTIFY,
        member,
        attribution,
        lambda text, registry: set_certification(text, registry, member, fields),
    )


def certify_link(
    workspace: Workspace, reseller: str, entries: Sequence[str], fields: Certified, attribution: Attribution
) -> HistoryEntry:
    """Record the certification of the reseller of a link, as checked by the wholesaler."""
    if len(entries) > 1:
        raise UsageError("a wholesale chain has one entry of numbers; enter each by itself")
    return change_registry(
        workspace,
        Action.CERTIFY_LINK,
        reseller,
        attribution,
        lambda text, registry: set_link_certification(text, registry, entries[0], reseller, fields),
    )
