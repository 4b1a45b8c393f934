"""What happens now: the service, the calls in progress, the calls of the last hour and day."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from idtone.calls import Outcome
from idtone.errors import IdtoneError
from idtone.service import status_command
from idtone.translation import speak, template

from ..access.rights import Right
from ..decided_by_minute import MINUTE
from ..drawings.stacked_plot import StackedPlot, stacked_plot
from ..event_stream import event, stream
from ..live import Live, State
from ..page import Page, Visit

PLOTS_EVERY_S: Final = 10
COUNTING: Final = {"trouble": None, "hour": None, "day": None}
"""What `now_plots.html` shows before the first count."""
STUCK: Final = timedelta(hours=2)
"""A call in progress for longer stands out."""
RINGS_TOO_LONG: Final = timedelta(minutes=5)
"""So does one that was not connected within this time."""
STATES: Final = {
    "dialling": template("being dialled"),
    "answered": template("answered, hears the sound"),
    "connected": template("in conversation"),
    "suspended": template("being ended: its number is suspended"),
}


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call in progress, as a row."""

    call_id: str
    state: str
    lasted: str
    is_stuck: bool
    outcome: str
    reason: str


async def now(visit: Visit) -> web.StreamResponse:
    """The page does not wait for the first count of a day; it comes as the first change."""
    plots = await _plots(visit) if visit.console.decided.is_ready else COUNTING
    return visit.render("now.html", **_state(visit, visit.console.live.newest), **plots)


async def changes(visit: Visit) -> web.StreamResponse:
    """The state each second, the plots less often."""

    async def events() -> AsyncIterator[bytes]:
        yield event("plots", visit.fragment("now_plots.html", **await _plots(visit)))
        seconds = 0
        async for state in visit.console.live.follow():
            speak(visit.language)
            shown = _state(visit, state)
            yield event("state", visit.fragment("now_state.html", **shown))
            yield event("service", visit.fragment("now_service.html", **shown))
            seconds += 1
            if seconds % PLOTS_EVERY_S == 0:
                yield event("plots", visit.fragment("now_plots.html", **await _plots(visit)))

    return await stream(visit, events())


def _state(visit: Visit, state: State) -> dict[str, Any]:
    """What `now_state.html` and `now_service.html` show."""
    feed = state.feed
    return {
        "state": state,
        "rate": calls_a_second(visit.console.live),
        "running": [] if feed is None else [running_call(call, state.at) for call in feed["calls"]["oldest"]],
        "rows": [] if feed is None else [*status_command.rows(feed)],
    }


def running_call(call: Mapping[str, Any], at: datetime) -> RunningCall:
    lasted = max(timedelta(0), at - datetime.fromisoformat(call["decided"]))
    is_stuck = lasted > (STUCK if call["state"] == "connected" else RINGS_TOO_LONG)
    return RunningCall(
        call["call_id"], STATES.get(call["state"], call["state"]), status_command.duration(lasted.total_seconds()),
        is_stuck, call["outcome"], call["reason"],
    )  # fmt: skip


def calls_a_second(live: Live) -> float | None:
    """Decided calls, over the last seconds; None if the service did not run all the time."""
    first, last = live.states[0], live.states[-1]
    if first is last or first.feed is None or last.feed is None:
        return None
    if first.feed["instance"]["pid"] != last.feed["instance"]["pid"]:
        return None
    calls = _decisions(last.feed) - _decisions(first.feed)
    return calls / (last.at - first.at).total_seconds()


def _decisions(feed: Mapping[str, Any]) -> int:
    return sum(each["calls"] for each in feed["calls"]["decisions"])


async def _plots(visit: Visit) -> dict[str, Any]:
    """What `now_plots.html` shows."""
    at = datetime.now(UTC)
    try:
        counts = await visit.in_thread(visit.console.decided.counts, at)
    except IdtoneError as error:
        return {"trouble": error, "hour": None, "day": None}
    return {
        "trouble": None,
        "hour": plot_of(counts, at - timedelta(hours=1), at, MINUTE),
        "day": plot_of(counts, at - timedelta(days=1), at, 10 * MINUTE),
    }


def plot_of(counts: Mapping[datetime, Counter[str]], first: datetime, last: datetime, step: timedelta) -> StackedPlot:
    """The calls of each outcome; each point stands for the calls from its time until the next one's."""
    first = datetime.fromtimestamp(first.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
    places = int((last - first) / step) + 1
    series = {outcome: [0] * places for outcome in Outcome}
    for minute, calls in counts.items():
        place = int((minute - first) / step)
        if 0 <= place < places:
            for outcome, number in calls.items():
                if outcome in series:
                    series[Outcome(outcome)][place] += number
    times = [(first + step * place).astimezone() for place in range(places)]
    return stacked_plot(times, {str(outcome): found for outcome, found in series.items()})


PAGES = (
    Page("/now", now, Right.LOOK, title=template("Now")),
    Page("/now/changes", changes, Right.LOOK),
)
