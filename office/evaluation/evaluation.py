"""Evaluates a member over a period."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from idtone.core.signed_notes import VerifierKey
from idtone.core.translation import Message, template
from idtone.member.evaluation.criteria import Criteria, Grade
from idtone.member.evaluation.figures import NodeFigures, cosigned_by, figures_doubts
from idtone.member.evaluation.measures import Facts, Measure, NoValue, Share, Value, compute_measures
from idtone.member.evaluation.period import Period
from idtone.member.evaluation.scoring import Score, score
from idtone.registry.model import Member

from .observations import Observed


class Exclusion(StrEnum):
    """Reasons why a member receives no grade, regardless of its values.

    Published results contain these names.
    """

    NO_LICENCE = "no-valid-licence"
    STOPPED = "stopped"
    """All numbers of the member are suspended."""


EXCLUSION_WORDS: Final = {
    Exclusion.NO_LICENCE: template("no licence of the member is valid"),
    Exclusion.STOPPED: template("all numbers of the member are suspended"),
}


@dataclass(frozen=True)
class Evaluation:
    """A member's evaluation.

    `missing` names nodes that lack figures for some day of the period. `doubts` are questions for the member.
    """

    member: Member
    values: Mapping[Measure, Value]
    score: Score
    missing: tuple[str, ...]
    doubts: tuple[Message, ...]
    excluded: Exclusion | None = None

    @property
    def grade(self) -> Grade | None:
        """The member's grade; None if its score reaches no grade or it is excluded."""
        return None if self.excluded else self.score.grade


def evaluate(
    member: Member,
    figures: Sequence[NodeFigures],
    observed: Observed,
    confirmed_stops: dict[str, Fraction],
    reports: Share,
    criteria: Criteria,
    period: Period,
    excluded: Exclusion | None = None,
) -> Evaluation:
    """Evaluate a member over a period.

    `figures` are all the member's figures at the desk, in order of receipt. `confirmed_stops` holds, by reference, the
    hours until the member's nodes confirmed each suspension. These hours take precedence over the office's
    observations. `reports` is the desk's count of the member's answers. Raises TrustError if a stored document was
    changed.
    """
    keys = [VerifierKey.parse(text) for text in member.keys]
    counted: list[NodeFigures] = []
    missing: list[str] = []
    asked: list[Message] = []
    for key in keys:
        own = [each for each in figures if each.key == key]
        used = _tiles(own, period, criteria)
        if used is None:
            missing.append(key.name)
            continue
        counted += used
        for each in used:
            asked += figures_doubts(each, own, criteria.terms.doubtful_factor)
    is_known = bool(keys) and not missing and all(each.figures.is_whole for each in counted)
    fallback, sent = _calls(counted) if is_known else (None, None)
    facts = Facts(
        fallback,
        sent,
        no_calls=NoValue.NO_FIGURES if missing or not keys else NoValue.NOT_WHOLE,
        stops_hours=[*(observed.stops_hours | confirmed_stops).values()],
        forms=observed.forms,
        reports=reports,
        reachability=observed.reachability,
        assessors_points=observed.assessors_points,
    )
    values = compute_measures(facts, criteria.terms.enough_calls)
    return Evaluation(member, values, score(criteria.document, values), tuple(missing), tuple(asked), excluded)


def _tiles(figures: Iterable[NodeFigures], period: Period, criteria: Criteria) -> list[NodeFigures] | None:
    """The node's newest figures that cover the period without a gap; None if there is a gap.

    Figures count only if enough of the named witnesses cosigned their tree head after their part of the period ended.
    This is checked again because the list of witnesses may have changed since the desk accepted the figures.
    """
    last = {each.span: each for each in figures if period.contains(each.span) and _is_cosigned(each, criteria)}
    parts = [last[span] for span in sorted(last)]
    reached = period.start
    for each in parts:
        if each.span.start != reached:
            return None
        reached = each.span.until
    return parts if reached == period.until else None


def _is_cosigned(each: NodeFigures, criteria: Criteria) -> bool:
    times = cosigned_by(each.figures.head, criteria.witnesses).values()
    return sum(at >= each.span.ends for at in times) >= criteria.terms.witnesses_needed


def _calls(figures: Iterable[NodeFigures]) -> tuple[Share, Share]:
    months = [month for each in figures for month in each.figures.months]
    return (
        Share(sum(month.fallback for month in months), sum(month.calls for month in months)),
        Share(sum(month.sent for month in months), sum(month.connected for month in months)),
    )


def evaluation_lines(evaluation: Evaluation) -> Iterator[Message]:
    """Explain each evaluation point in one line of text."""
    member, found = evaluation.member, evaluation.score
    yield Message(
        "{member}  {name}: {grade}, {percent}",
        member=member.id,
        name=f"{member.name.ja} / {member.name.en}",
        grade=f"{grade.title.ja} / {grade.title.en}" if (grade := evaluation.grade) else Message("no grade"),
        percent="–" if found.percent is None else f"{found.percent} %",
    )
    for row in found.rows:
        rule = row.criterion
        yield Message(
            "  {title}: {measure} {value} → {points}, weight {weight}",
            title=f"{rule.title.ja} / {rule.title.en}",
            measure=rule.measure.value,
            value=row.value,
            points=Message("not counted") if row.points is None else f"{row.points}/{rule.most}",
            weight=rule.weight,
        )
    for lost, criteria in found.missed.items():
        yield Message("  {grade} is missed by {criteria}", grade=lost, criteria=", ".join(criteria))
    if evaluation.excluded:
        yield Message("  no grade: {reason}", reason=Message(EXCLUSION_WORDS[evaluation.excluded]))
    if evaluation.missing:
        yield Message("  figures are missing of {nodes}", nodes=", ".join(evaluation.missing))
    yield from (Message("  to be asked: {doubt}", doubt=doubt) for doubt in evaluation.doubts)
