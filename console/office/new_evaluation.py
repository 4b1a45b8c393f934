"""A new evaluation, in which the office chooses the period, checks the reason for each point, and enters the result."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import template
from idtone.office.authority.typed_dates import parse_day
from idtone.office.evaluation.evaluate_members import period_over, read_folder
from idtone.office.evaluation.evaluation import EXCLUSION_WORDS

from ..access.rights import Right
from ..evaluation_run import EvaluationRun
from ..event_stream import stream_work
from ..form_errors import Fields, FormField, errors_of, labels_of
from ..page import Method, Page, Visit
from .act_words import NO_VALUE_WORDS
from .common_parts import WHY, attribution_of, do_act, files_of
from .evaluations import PATH as EVALUATIONS

PATH: Final = f"{EVALUATIONS}/new"
EVALUATION: Final = web.AppKey("evaluation", EvaluationRun)
LOOK_EVERY_S: Final = 0.5
_PERIOD: Final[Fields] = {
    "since": FormField(template("First day"), parse_day),
    "until": FormField(template("Last day"), parse_day),
}


async def new_evaluation(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    return visit.render("office_new_evaluation.html", status, problem=problem, **_shown(visit))


def _shown(visit: Visit) -> dict[str, Any]:
    """Context for the template `office_evaluated.html`."""
    evaluating = visit.request.app[EVALUATION]
    return {
        "task": evaluating.work.task,
        "found": evaluating.found,
        "id": evaluating.id,
        "values": NO_VALUE_WORDS,
        "exclusions": EXCLUSION_WORDS,
    }


async def evaluate(visit: Visit) -> web.StreamResponse:
    """Start evaluating all members for a past period. Errors are shown immediately."""
    workspace, evaluating = files_of(visit).workspace, visit.request.app[EVALUATION]
    try:
        errors_of(_PERIOD, visit.fields or {}).check()
        period = period_over(visit.field("since"), visit.field("until"), datetime.now(UTC), labels_of(_PERIOD))
        await visit.in_thread(read_folder, workspace)
        evaluating.start(workspace, period)
    except IdtoneError as error:
        return await new_evaluation(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(PATH)


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the progress and finally the result."""

    async def shown() -> str:
        return visit.fragment("office_evaluated.html", **_shown(visit))

    return await stream_work(visit, visit.request.app[EVALUATION].work, "evaluation", shown, LOOK_EVERY_S)


async def cancel(visit: Visit) -> web.StreamResponse:
    visit.request.app[EVALUATION].work.cancel()
    return visit.redirect(PATH)


async def enter(visit: Visit) -> web.StreamResponse:
    """Enter the result shown in the form, for the next publication."""
    files, evaluating = files_of(visit), visit.request.app[EVALUATION]
    return await do_act(
        visit,
        lambda: evaluating.enter(files.workspace, visit.field("evaluation"), attribution_of(visit)),
        new_evaluation,
        EVALUATIONS,
        WHY,
    )


PAGES = (
    Page(PATH, new_evaluation, Right.OFFICE),
    Page(PATH, evaluate, Right.OFFICE, Method.POST),
    Page(PATH + "/changes", changes, Right.OFFICE),
    Page(PATH + "/cancel", cancel, Right.OFFICE, Method.POST),
    Page(PATH + "/enter", enter, Right.OFFICE, Method.POST),
)
