"""Evaluates members based on the data in the authority's folder."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from idtone.core.calls import Reason
from idtone.core.errors import UsageError
from idtone.core.signed_notes import VerifierKey
from idtone.member.evaluation.criteria import Criteria, read_criteria
from idtone.member.evaluation.figures import KIND
from idtone.member.evaluation.measures import Share
from idtone.member.evaluation.period import Period
from idtone.registry.correspondence.suspension_confirmation import KIND as CONFIRMATION
from idtone.registry.model import Member, RegistryDocument
from idtone.registry.registry_report import member_report

from ..authority.change_registry import registry_of, suspensions_of
from ..authority.stopped_members import stopped_members
from ..authority.workspace import Workspace
from ..desk.document_desk import DocumentDesk
from ..desk.reports.report_store import ReportStore
from .accept_figures import CRITERIA_FILE
from .confirmed_stops import confirmed_stops, published_editions
from .evaluation import Evaluation, Exclusion, evaluate
from .observations import Observation, observations, observations_in, observations_of
from .read_figures import read_figures

Progress = Callable[[int, int], object]
"""Callback that receives the number of evaluated members and the total."""


@dataclass(frozen=True)
class EvaluatedMembers:
    """Member evaluations and the data they are based on."""

    registry: RegistryDocument
    criteria: Criteria
    period: Period
    evaluations: Sequence[Evaluation]
    observations: Sequence[Observation]
    """Observations from the period that were counted in the evaluations."""


def period_over(since: str, until: str, now: datetime, name: Callable[[str], str]) -> Period:
    """Parse a period between two days entered by a person. Raises UsageError if the period is not over.

    `name` maps a parameter to the field name shown in error messages.
    """
    period = Period.parse(since, until, name)
    if period.ends > now:
        raise UsageError("the period {period} is not over yet", period=str(period))
    return period


def evaluate_members(
    workspace: Workspace,
    registry: RegistryDocument,
    criteria: Criteria,
    period: Period,
    now: datetime,
    chosen: Sequence[str] = (),
    progress: Progress = lambda done, of: None,
) -> EvaluatedMembers:
    """Evaluate the chosen members, or all members. Raises IdtoneError.

    Members receive no grade if they have no licence valid at `now` or all their numbers are suspended. `progress`
    receives the number of evaluated members and the total.
    """
    known = {each.id for each in registry.members}
    if unknown := [each for each in chosen if each not in known]:
        raise UsageError("the registry has no member {member!r}; `idtone registry show` lists them", member=unknown[0])
    documents = DocumentDesk(workspace.folder, {}).documents
    members = [each for each in registry.members if not chosen or each.id in chosen]
    keys = {each.id: [VerifierKey.parse(key) for key in each.keys] for each in registry.members}
    counted = counted_by_desk(workspace, registry.members, period)
    noted = observations(workspace.folder)
    stopped = stopped_members(registry.members, suspensions_of(workspace), now)
    found = []
    for number, each in enumerate(members):
        progress(number, len(members))
        figures, own = (
            list(read_figures(documents.of(KIND, member=each.id), keys)),
            observations_of(noted, each.id, period),
        )
        excluded, (stops, reports) = _excluded(each, stopped, now), counted(each.id)
        found.append(evaluate(each, figures, own, stops, reports, criteria, period, excluded))
    return EvaluatedMembers(registry, criteria, period, found, observations_in(period, noted))


def counted_by_desk(
    workspace: Workspace, members: Iterable[Member], period: Period
) -> Callable[[str], tuple[dict[str, Fraction], Share]]:
    """Return a function that maps a member id to the desk's own figures for the period.

    The figures are the hours until the member's nodes confirmed each suspension, by reference, and the share of reports
    answered on time. Raises IdtoneError.
    """
    documents = DocumentDesk(workspace.folder, {}).documents
    answered = ReportStore(workspace.folder).in_time(period.begins, period.ends)
    editions = published_editions(workspace.repository)
    keys = {each.id: [VerifierKey.parse(key) for key in each.keys] for each in members}

    def counted(member: str) -> tuple[dict[str, Fraction], Share]:
        confirmed = documents.of(CONFIRMATION, member=member)
        return confirmed_stops(confirmed, keys, editions, period), Share(*answered.get(member, (0, 0)))

    return counted


def _excluded(member: Member, stopped: Collection[str], now: datetime) -> Exclusion | None:
    if member.id in stopped:
        return Exclusion.STOPPED
    is_licensed = any(each["state"] == Reason.LICENCE_VALID for each in member_report(member, now)["licences"])
    return None if is_licensed else Exclusion.NO_LICENCE


def read_folder(workspace: Workspace) -> tuple[RegistryDocument, Criteria]:
    """Read the registry and the criteria in the authority's folder. Raises IdtoneError."""
    criteria = read_criteria(workspace.folder / CRITERIA_FILE)
    return registry_of(workspace), criteria
