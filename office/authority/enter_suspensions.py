"""Records suspensions requested by the police, and numbers that never originate calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.terminal.prompts import checked_line
from idtone.registry.model import NeverOriginatesDocument, SuspensionKind, SuspensionsDocument
from idtone.registry.trust import tuf_roles

from .change_registry import Attribution, change_never_originates, change_suspensions
from .history import Action, HistoryEntry
from .never_originates_edits import NeverOriginatesRequest, delete_span, insert_span
from .suspension_edits import NewSuspension, insert_suspension
from .typed_dates import in_japan, parse_end, parse_moment
from .workspace import Workspace
from .yaml_text import YamlText


@dataclass(frozen=True, slots=True)
class SuspensionTerms:
    """Terms of a suspension, or of an entry for numbers that never originate calls.

    The entry is in force from `since`. If `until` is None, it lasts until it is lifted. `authority` is the body that
    requested the suspension, or the holder of the numbers.
    """

    reference: str
    requested: datetime
    since: datetime
    until: datetime | None
    authority: str | None

    @classmethod
    def parse(
        cls,
        reference: str,
        requested: str,
        since: str | None,
        until: str | None,
        authority: str | None,
        now: datetime,
        name: Callable[[str], str],
    ) -> SuspensionTerms:
        """Parse the terms from typed text. Raises UsageError.

        `name` maps a parameter to the field name shown in error messages. If `since` is None, the terms begin at `now`.
        """
        reference = checked_line(reference, name("reference"))
        if authority is not None:
            authority = checked_line(authority, name("authority"))
        asked_at, begins = (
            parse_moment(requested, name("requested")),
            parse_moment(since, name("since")) if since else now,
        )
        if asked_at > now:
            raise UsageError("{option} is in the future; write when they asked", option=name("requested"))
        ends = parse_end(until, name("until")) if until else None
        if ends is not None and ends <= max(begins, now):
            raise UsageError(
                "{option} is over, or not after the start of the suspension; write a later time", option=name("until")
            )
        return cls(reference, asked_at, in_japan(begins), in_japan(ends) if ends else None, authority)


def suspend(
    workspace: Workspace,
    action: Action,
    scope: NumberSpan | str,
    terms: SuspensionTerms,
    attribution: Attribution,
    entered_by: str | None = None,
    record: Callable[[], object] = lambda: None,
) -> HistoryEntry:
    """Suspend numbers or a member, or block new numbers for a member.

    `record` runs before the file is written. Raises IdtoneError without changing anything.
    """
    kind = SuspensionKind.NO_NEW_NUMBERS if action is Action.NO_NEW_NUMBERS else SuspensionKind.STOP
    request = NewSuspension(scope, terms.reference, terms.since, terms.until, terms.authority, kind)

    def edit(text: YamlText, document: SuspensionsDocument) -> None:
        insert_suspension(text, document, request, in_japan(attribution.at))
        record()

    return change_suspensions(
        workspace,
        action,
        terms.reference,
        attribution,
        edit,
        requested=terms.requested,
        entered_by=entered_by,
    )


def enter_never_originating(
    workspace: Workspace,
    span: NumberSpan,
    terms: SuspensionTerms,
    attribution: Attribution,
    entered_by: str | None = None,
    record: Callable[[], object] = lambda: None,
) -> HistoryEntry:
    """Add numbers that never originate calls. `terms.authority` is their holder.

    `record` runs before the file is written. Raises IdtoneError without changing anything.
    """
    if terms.authority is None:
        raise UsageError("name the holder of the numbers")
    request = NeverOriginatesRequest(span, terms.authority, terms.reference, terms.since, terms.until)

    def edit(text: YamlText, document: NeverOriginatesDocument) -> None:
        insert_span(text, document, request, in_japan(attribution.at))
        record()

    return change_never_originates(
        workspace,
        Action.ADD_NEVER_ORIGINATING,
        terms.reference,
        attribution,
        edit,
        requested=terms.requested,
        entered_by=entered_by,
    )


def remove_never_originating(
    workspace: Workspace,
    span: NumberSpan,
    attribution: Attribution,
    entered_by: str | None = None,
    record: Callable[[], object] = lambda: None,
) -> HistoryEntry:
    """Remove an entry for numbers that never originate calls.

    `record` runs before the file is written. Raises IdtoneError without changing anything.
    """

    def edit(text: YamlText, document: NeverOriginatesDocument) -> None:
        delete_span(text, document, span, in_japan(attribution.at))
        record()

    return change_never_originates(
        workspace,
        Action.REMOVE_NEVER_ORIGINATING,
        tuf_roles.NEVER_ORIGINATES_FILE,
        attribution,
        edit,
        entered_by=entered_by,
    )
