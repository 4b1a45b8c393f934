"""Records a member's pledge (誓約) in the registry."""

from collections.abc import Callable
from datetime import date

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line

from .change_registry import Attribution, change_registry
from .history import Action, HistoryEntry
from .registry_edits import insert_pledge
from .typed_dates import in_japan, parse_day, parse_day_after
from .workspace import Workspace


def record_pledge(
    workspace: Workspace,
    member: str,
    document: str,
    sha256: str,
    signatory: str,
    signed: str,
    until: str,
    attribution: Attribution,
    name: Callable[[str], str],
) -> HistoryEntry:
    """Record a member's signed pledge in the registry, replacing any older one.

    `name` maps a parameter to the field name shown in error messages. Raises IdtoneError.
    """
    signed_on = parse_day(signed, name("signed"))
    fields: dict[str, str | date] = {
        "document": checked_line(document, name("document")),
        "sha256": sha256,
        "signatory": checked_line(signatory, name("signatory")),
        "until": parse_day_after(until, name("until")),
    }
    if signed_on > in_japan(attribution.at).date():
        raise UsageError("{option} is in the future; write the day of the signature", option=name("signed"))
    return change_registry(
        workspace,
        Action.PLEDGE,
        member,
        attribution,
        lambda text, registry: insert_pledge(text, registry, member, signed_on, fields),
    )
