"""The commands `history show` and `note` of `idtone-office`.

They show changes with their authors and signing keys, and record edits made by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust import tuf_roles

from ..authority.change_registry import record_edits
from ..authority.signed_history import HistorySignature, history_with_signatures
from ..authority.workspace import Workspace
from .history_output import entry_lines, entry_to_json
from .options import FolderOption, WhyOption, attribution_for


def show_history(
    folder: FolderOption,
    trust: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The association's root that you keep (default: its first one).")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show who changed what, when and why, and which keys have signed each change.

    Exit 2: a history differs from the signed one, or other keys have signed it.
    """
    if not folder.is_dir():
        raise UsageError("{folder}: is not a folder; name the authority's folder", folder=folder)
    with checking():
        entries = history_with_signatures(Workspace(folder), trust)
    if as_json:
        command_line.print_json([{**entry_to_json(entry), "signed": _as_plain(signed)} for entry, signed in entries])
        return
    for entry, signed in entries:
        print(*map(translated, entry_lines(entry)), f"  {translated(_words(signed))}", sep="\n")


def _as_plain(signed: HistorySignature | None) -> dict[str, object] | None:
    return {"role": signed.role, "version": signed.version, "keys": signed.keys} if signed else None


def _words(signed: HistorySignature | None) -> str:
    if signed is None:
        return Message("not yet signed")
    keys = ", ".join(key[:8] for key in signed.keys)
    return Message(
        "signed with the {set} keys {keys} in version {version} of {role}",
        set=tuf_roles.ROLES[signed.role].keys,
        keys=keys,
        version=signed.version,
        role=signed.role,
    )


def note_edits(folder: FolderOption, why: WhyOption, as_json: command_line.JsonOption = False) -> None:
    """Record edits by hand in the history: those of registry.yaml, suspensions.yaml and never-originates.yaml."""
    workspace = Workspace(folder)
    with checking():
        entries = record_edits(workspace, attribution_for(why), workspace.roles_edited_by_hand())
    if not entries:
        raise UsageError("{folder}: nothing was edited by hand", folder=folder)
    if as_json:
        command_line.print_json([entry_to_json(entry) for entry in entries])
        return
    for entry in entries:
        print(*entry_lines(entry), sep="\n")
