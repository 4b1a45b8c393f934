"""Findings and remedies from `idtone doctor`, run on request, next to the live state."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from idtone.core.translation import speak, template
from idtone.operations.doctor.findings import TOPICS, Finding, State
from idtone.service import status_command

from ..access.rights import Right
from ..doctor_runs import DoctorRun, DoctorRuns
from ..event_stream import event, stream
from ..page import Method, Page, Visit

PATH: Final = "/health"
DOCTOR: Final = web.AppKey("doctor", DoctorRuns)
WORST_FIRST: Final = {
    State.BAD: template("bad"),
    State.WARNING: template("warning"),
    State.UNKNOWN: template("not checked"),
    State.GOOD: template("good"),
}


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one state, grouped by remedy, because several findings may share one."""

    state: State
    words: str
    by_remedy: list[tuple[str, list[Finding]]]
    count: int


async def show(visit: Visit) -> web.StreamResponse:
    return visit.render("health.html", **_state(visit))


async def run(visit: Visit) -> web.StreamResponse:
    """Start a run of `idtone doctor`. The page shows its progress."""
    assert visit.user is not None
    visit.request.app[DOCTOR].start(visit.user.name)
    return visit.redirect(PATH)


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the current run's progress until it ends."""

    async def events() -> AsyncIterator[bytes]:
        async for _ in visit.request.app[DOCTOR].follow():
            speak(visit.language)
            yield event("run", visit.fragment("health_run.html", **_state(visit)))
        yield event("over", "over")

    return await stream(visit, events())


def _state(visit: Visit) -> dict[str, Any]:
    doctor, feed = visit.request.app[DOCTOR], visit.console.live.newest.feed
    newest = doctor.ended[-1] if doctor.ended else None
    return {
        "doctor": doctor,
        "topics": len(TOPICS),
        "unfinished": [TOPICS[topic].looked_at for topic in doctor.unfinished],
        "run": newest,
        "groups": groups(newest) if newest else (),
        "earlier": [*doctor.ended][-2::-1],
        "states": WORST_FIRST,
        "rows": [] if feed is None else [*status_command.rows(feed)],
    }


def groups(run: DoctorRun) -> Sequence[FindingGroup]:
    """Findings by state, worst state first. States without findings are omitted."""
    found = []
    for state, words in WORST_FIRST.items():
        chosen = [finding for finding in run.findings if finding.state is state]
        remedies = dict.fromkeys(finding.remedy for finding in chosen)
        by_remedy = [(remedy, [finding for finding in chosen if finding.remedy == remedy]) for remedy in remedies]
        if chosen:
            found.append(FindingGroup(state, words, by_remedy, len(chosen)))
    return found


PAGES = (
    Page(PATH, show, Right.LOOK, title=template("Health")),
    Page(f"{PATH}/run", run, Right.LOOK, Method.POST),
    Page(f"{PATH}/changes", changes, Right.LOOK),
)
