"""Records witnesses and the keys of members' evidence logs in the registry.

`since` and `until` are typed days (Japan Standard Time) or times; an empty `since` means now. `name` maps a parameter
to the field name shown in error messages. If a function raises IdtoneError, it has changed nothing.
"""

from collections.abc import Callable
from datetime import datetime

from idtone.registry.trust import tuf_roles

from . import log_and_witness_edits
from .change_registry import Attribution, change_registry
from .history import Action, HistoryEntry
from .typed_dates import in_japan, parse_end, parse_moment
from .workspace import Workspace

FieldName = Callable[[str], str]


def enter_log_key(
    workspace: Workspace,
    member: str,
    key: str,
    since: str,
    corporate_number: str,
    attribution: Attribution,
    name: FieldName,
) -> HistoryEntry:
    """Record a member's evidence log key, and the corporate number of the company responsible for the log.

    An empty `corporate_number` leaves the recorded one unchanged.
    """
    begins = _begins(since, attribution, name)
    return change_registry(
        workspace,
        Action.ADD_LOG_KEY,
        member,
        attribution,
        lambda text, document: log_and_witness_edits.insert_log_key(
            text, document, member, key.strip(), begins, corporate_number or None
        ),
    )


def end_log_key(workspace: Workspace, key: str, until: str, attribution: Attribution, name: FieldName) -> HistoryEntry:
    """Record when a member's evidence log key ends. Later signatures do not count."""
    over = parse_end(until, name("until"))
    return change_registry(
        workspace,
        Action.END_LOG_KEY,
        key.partition("+")[0],
        attribution,
        lambda text, document: log_and_witness_edits.set_log_key_end(text, document, key.strip(), over),
    )


def enter_witness(
    workspace: Workspace, key: str, since: str, attribution: Attribution, name: FieldName
) -> HistoryEntry:
    """Record a witness whose cosignatures count for all members' evidence logs."""
    begins = _begins(since, attribution, name)
    return change_registry(
        workspace,
        Action.ADD_WITNESS,
        key.partition("+")[0],
        attribution,
        lambda text, document: log_and_witness_edits.insert_witness(text, document, key.strip(), begins),
    )


def end_witness(workspace: Workspace, key: str, until: str, attribution: Attribution, name: FieldName) -> HistoryEntry:
    """Record when a witness ends. Its later cosignatures do not count."""
    over = parse_end(until, name("until"))
    return change_registry(
        workspace,
        Action.END_WITNESS,
        key.partition("+")[0],
        attribution,
        lambda text, document: log_and_witness_edits.set_witness_end(text, document, key.strip(), over),
    )


def demand_cosignatures(workspace: Workspace, number: int, attribution: Attribution) -> HistoryEntry:
    """Set the number of witnesses that must cosign a member's evidence log."""
    return change_registry(
        workspace,
        Action.DEMAND_COSIGNATURES,
        tuf_roles.REGISTRY_FILE,
        attribution,
        lambda text, document: log_and_witness_edits.set_cosignatures(text, document, number),
    )


def _begins(since: str, attribution: Attribution, name: FieldName) -> datetime:
    return parse_moment(since, name("since")) if since else in_japan(attribution.at)
