"""Records number portings (番号ポータビリティ) in the registry.

If a function raises IdtoneError, it has changed nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from idtone.core.errors import UsageError
from idtone.registry.model import RegistryDocument

from .change_registry import Attribution, change_registry, suspensions_of
from .history import Action, HistoryEntry
from .registry_edits import delete_porting, insert_porting
from .suspension_edits import refuse_suspended
from .workspace import Workspace
from .yaml_text import YamlText


def port_number(
    workspace: Workspace, giver: str, taker: str, entries: Sequence[str], at: datetime, attribution: Attribution
) -> HistoryEntry:
    """Record that numbers move from member `giver` to member `taker` at time `at`.

    Raises UsageError if `taker` may not receive new numbers or any of the numbers is suspended.
    """
    entry = _only(entries)

    def edit(text: YamlText, registry: RegistryDocument) -> None:
        refuse_suspended(suspensions_of(workspace), taker, entries, attribution.at)
        insert_porting(text, registry, entry, giver, taker, at)

    return change_registry(workspace, Action.PORT_NUMBER, taker, attribution, edit)


def remove_porting(workspace: Workspace, entries: Sequence[str], attribution: Attribution) -> HistoryEntry:
    """Remove the porting of these numbers. Their current holder keeps them."""
    entry = _only(entries)
    return change_registry(
        workspace,
        Action.REMOVE_PORTING,
        "portings",
        attribution,
        lambda text, registry: delete_porting(text, registry, entry, attribution.at),
    )


def _only(entries: Sequence[str]) -> str:
    if len(entries) > 1:
        raise UsageError("a porting has one entry of numbers; enter each by itself")
    return entries[0]
