"""Undoes the last unpublished change to the registry. The history keeps both the change and its undo.

Suspensions cannot be undone: two people enter a suspension, and two people have to end it.
"""

import hashlib
from collections.abc import Sequence

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing
from idtone.registry.file_kinds import KINDS
from idtone.registry.trust import tuf_roles

from . import group_shared_files
from .change_registry import Attribution
from .history import Action, HistoryEntry
from .prepared_package import PreparedPackage
from .tone_masters import master_of
from .undo_copies import copy_path
from .workspace import Workspace


def last_undoable_change(workspace: Workspace) -> HistoryEntry | None:
    """Find the change that `undo_last_change` would undo. Raises TrustError.

    Returns None if all changes are published or the file was edited by hand.
    """
    now = hashlib.sha256(workspace.file_octets(tuf_roles.REGISTRY_FILE)).hexdigest()
    last = _last(workspace.unpublished_entries(tuf_roles.REGISTRY), now)
    return last if last and last.before and copy_path(workspace.folder, last.before).exists() else None


def undo_last_change(workspace: Workspace, attribution: Attribution, shown: str | None = None) -> HistoryEntry:
    """Restore the registry to its state before the last change. Raises IdtoneError without changing anything.

    `shown` is the SHA-256 of the file after the change that the person has read. If given, only that change is undone.
    """
    with workspace.locked():
        if workspace.roles_edited_by_hand([tuf_roles.REGISTRY]):
            raise UsageError("registry.yaml was edited by hand; record that with `idtone-office history note` first")
        waiting = PreparedPackage(workspace).edition()
        if waiting is not None and tuf_roles.REGISTRY in waiting.metadata:
            raise UsageError("the change is in a package that waits for signatures; discard the package first")
        last = last_undoable_change(workspace)
        if last is None or last.before is None:
            raise UsageError("no change waits for its publication that could be taken back")
        if shown is not None and shown != last.after:
            raise UsageError("the last change is another one since you read the page; read it again")
        kind, path, copy = KINDS[tuf_roles.REGISTRY], workspace.folder / tuf_roles.REGISTRY_FILE, last.before
        present, before = path.read_bytes(), copy_path(workspace.folder, copy).read_bytes()
        if hashlib.sha256(before).hexdigest() != copy:
            raise TrustError("{path}: is damaged; restore it", path=copy_path(workspace.folder, copy))
        old, new = (kind.parse(octets.decode("utf-8-sig"), str(path)) for octets in (present, before))
        entry = attribution.entry(
            Action.UNDO,
            last.subject,
            undone=last.action,
            before=last.after,
            after=copy,
            what=tuple(kind.differences(old, new)),
        )
        with writing(path, TrustError):
            group_shared_files.rewrite(path, before)
            try:
                workspace.record_entry(tuf_roles.REGISTRY, entry)
            except TrustError:
                group_shared_files.rewrite(path, present)
                raise
            if last.action is Action.TONE:
                master_of(workspace, last.subject).unlink(missing_ok=True)
    return entry


def _last(entries: Sequence[HistoryEntry], sha256: str) -> HistoryEntry | None:
    return next((each for each in reversed(entries) if each.after == sha256 and each.action is not Action.UNDO), None)
