"""Records certifications (認定) of members and resellers in the registry. All functions raise IdtoneError."""

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
"""Fields of `certification` in the registry, by name."""
_READ: Final[Mapping[str, Callable[[str, str], str | date]]] = {
    "until": parse_day_after,
    "next_check": parse_day,
    "mark_until": parse_day_after,
}


def parse_certification(given: Mapping[str, str | None], name: Callable[[str], str]) -> Certified:
    """Parse the text typed into each field of a certification.

    `mark` and `mark_until` must be given together. `name` maps a field to the name shown in error messages.
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
    """Record a member's certification, replacing any older one. Without a new mark, the old one is kept."""
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
    """Record on a wholesale chain link that the wholesaler checked the reseller's certification.

    `entries` must contain exactly one number entry. Without a new mark, the old one is kept.
    """
    if len(entries) > 1:
        raise UsageError("a wholesale chain has one entry of numbers; enter each by itself")
    return change_registry(
        workspace,
        Action.CERTIFY_LINK,
        reseller,
        attribution,
        lambda text, registry: set_link_certification(text, registry, entries[0], reseller, fields),
    )
