"""Evaluations of good operators, with members' figures, points by criterion, grades and badges."""

from collections import Counter
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.translation import Message, template
from idtone.member.evaluation.figures import KIND
from idtone.member.evaluation.measures import Measure, NoValue
from idtone.member.evaluation.scoring import score
from idtone.office.evaluation.accept_figures import CRITERIA_FILE
from idtone.office.evaluation.evaluation import EXCLUSION_WORDS
from idtone.office.evaluation.results import kept_badge

from ..access.rights import Right
from ..drawings.criterion_bars import criterion_bars
from ..page import Page, Section, Visit
from .act_words import NO_VALUE_WORDS
from .common_parts import files_of, not_found_page

PATH: Final = "/office/evaluations"


async def evaluations(visit: Visit) -> web.StreamResponse:
    """Show the evaluated periods with their members, newest first."""
    files = files_of(visit)
    kept = await visit.in_thread(files.evaluations)
    registered = await visit.in_thread(files.registered)
    documents = await visit.in_thread(lambda: list(files.desk.documents.of(KIND)))
    handed_in = Counter(each.member for each in documents)
    newest = {each.member: each.received for each in documents}
    periods = [
        (criteria, results, {each.id: getattr(each.title, visit.language) for each in criteria.document.grades})
        for criteria, results in kept
    ]
    return visit.render(
        "office_evaluations.html",
        periods=periods[::-1],
        members=registered.members,
        figures=[(each, handed_in[each], newest.get(each)) for each in registered.members],
        has_criteria=(files.folder / CRITERIA_FILE).exists(),
        problem=None,
    )


async def evaluation(visit: Visit) -> web.StreamResponse:
    """Show one member's evaluation for one period, with the points for each criterion."""
    files, period, member = files_of(visit), visit.part("period"), visit.part("member")
    for criteria, results in await visit.in_thread(files.evaluations):
        for result in results:
            if (f"{result.period.start}_{result.period.until}", result.member) == (period, member):
                found = score(criteria.document, {**dict.fromkeys(Measure, NoValue.NONE), **result.values})
                names = {each.id: getattr(each.title, visit.language) for each in criteria.document.criteria}
                registered = await visit.in_thread(files.registered)
                return visit.render(
                    "office_evaluation.html",
                    result=result,
                    criteria=criteria,
                    found=found,
                    values=NO_VALUE_WORDS,
                    drawn=criterion_bars(found.rows, visit.language),
                    names=names,
                    period=period,
                    name=registered.members.get(member),
                    exclusions=EXCLUSION_WORDS,
                )
    return not_found_page(visit, Message("There is no such evaluation."))


async def badge(visit: Visit) -> web.StreamResponse:
    """Send the image of a member's badge for one period."""
    files = files_of(visit)
    octets = await visit.in_thread(kept_badge, files.workspace, visit.part("period"), visit.part("member"))
    if octets is None:
        return web.Response(status=HTTPStatus.NOT_FOUND)
    return web.Response(body=octets, content_type="image/svg+xml")


PAGES = (
    Page(PATH, evaluations, Right.OFFICE, title=template("Evaluations"), section=Section.OFFICE),
    Page(PATH + "/{period}/{member}", evaluation, Right.OFFICE),
    Page(PATH + "/{period}/{member}/badge.svg", badge, Right.OFFICE),
)
