"""Records edits made by hand in the authority's files, before the files are signed."""

from collections.abc import Iterable

from idtone.core.errors import TrustError
from idtone.registry.trust import tuf_roles

from .change_registry import Attribution, record_edits
from .workspace import Workspace


def record_edits_by_hand(workspace: Workspace, attribution: Attribution | None, roles: Iterable[str]) -> None:
    """Record edits made by hand in these roles' files, because only recorded content may be signed.

    Raises TrustError if there are edits and `attribution` is None.
    """
    edited = workspace.roles_edited_by_hand(roles)
    if not edited:
        return
    if attribution is None:
        files = " and ".join(tuf_roles.DELEGATED[role] for role in edited)
        raise TrustError(
            "{files} was edited by hand; record it in the history with `idtone-office history note`", files=files
        )
    record_edits(workspace, attribution, edited)
