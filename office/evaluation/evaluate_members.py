"""Evaluates members from their documents in the authority's folder and from the assessments that the office hands
in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from idtone.core.calls import Reason
from idtone.core.errors import UsageError
from idtone.core.signed_notes import VerifierKey
from idtone.core.translation import Message
from idtone.member.evaluation.criteria import Criteria, read_criteria
from idtone.member.evaluation.figures import KIND
from idtone.member.evaluation.measures import Share
from idtone.member.evaluation.period import Period
from idtone.registry.commands.check_progress import checking
from idtone.registry.correspondence.suspension_confirmation import KIND as CONFIRMATION
from idtone.registry.model import Member, RegistryDocument
from idtone.registry.summary import member_report

from ..authority.change_registry import registry_of, suspensions_of
from ..authority.stopped_members import stopped_members
from ..authority.workspace import Workspace
from ..desk.desk import Desk
from ..desk.reports.report_store import ReportStore
from .confirmed_stops import confirmed_stops, published_editions
from .evaluate import Evaluation, Exclusion, evaluate
from .evaluation_input import Assessment
from .figures_rule import CRITERIA_FILE
from .kept_figures import read_figures

Progress = Callable[[int, int], object]
"""Takes how many members are evaluated, and of how many."""


@dataclass(frozen=True)
class EvaluatedMembers:
    """The evaluations by the registry as it was then."""

    registry: RegistryDocument
    criteria: Criteria
    period: Period
    evaluations: Sequence[Evaluation]


def period_over(since: str, until: str, now: datetime, name: Callable[[str], str]) -> Period:
    """The period between two days that a person entered; `name` names a field in an error. Raises UsageError if the
    period is not over.
    """
    period = Period.given(since, until, name)
    if period.ends > now:
        raise UsageError(Message("the period {period} is not over yet", period=str(period)))
    return period


def evaluate_members(
    workspace: Workspace,
    registry: RegistryDocument,
    criteria: Criteria,
    period: Period,
    assessments: Mapping[str, Assessment],
    now: datetime,
    chosen: Sequence[str] = (),
    progress: Progress = lambda done, of: None,
) -> EvaluatedMembers:
    """Evaluate the chosen members, or all; `now` decides who has a valid licence. Raises IdtoneError."""
    known = {each.id for each in registry.members}
    if unknown := [each for each in chosen if each not in known]:
        raise UsageError(
            Message("the registry has no member {member!r}; `idtone registry show` lists them", member=unknown[0])
        )
    documents = Desk(workspace.folder, {}).documents
    answered = ReportStore(workspace.folder).in_time(period.begins, period.ends)
    editions = published_editions(workspace.repository)
    keys = {each.id: [VerifierKey.parse(key) for key in each.keys] for each in registry.members}
    members = [each for each in registry.members if not chosen or each.id in chosen]
    stopped = stopped_members(registry.members, suspensions_of(workspace), now)
    found = []
    for number, each in enumerate(members):
        progress(number, len(members))
        figures = list(read_figures(documents.of(KIND, member=each.id), keys))
        stops = confirmed_stops(documents.of(CONFIRMATION, member=each.id), keys, editions, period)
        reports = Share(*answered[each.id]) if each.id in answered else None
        found.append(
            evaluate(
                each, figures, assessments.get(each.id), stops, reports, criteria, period, _excluded(each, stopped, now)
            )
        )
    return EvaluatedMembers(registry, criteria, period, found)


def _excluded(member: Member, stopped: Collection[str], now: datetime) -> Exclusion | None:
    if member.id in stopped:
        return Exclusion.STOPPED
    is_licensed = any(each["state"] == Reason.LICENCE_VALID for each in member_report(member, now)["licences"])
    return None if is_licensed else Exclusion.NO_LICENCE


def read_folder(workspace: Workspace) -> tuple[RegistryDocument, Criteria]:
    """The registry and the criteria as they are in the folder. Raises IdtoneError."""
    criteria = read_criteria(workspace.folder / CRITERIA_FILE)
    with checking():
        return registry_of(workspace), criteria
