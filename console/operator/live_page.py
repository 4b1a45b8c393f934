"""The current state: the service, calls in progress, and calls in the last hour and day."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from aiohttp import web

from idtone.core.translation import template
from idtone.service import status_command

from ..access.rights import Right
from ..decision_plots import DecisionPlots
from ..event_stream import event, stream
from ..live_state import LiveState, ServiceState
from ..page import Page, Visit
from ..shared_reads import Shared

PLOTS: Final = web.AppKey("plots", Shared[DecisionPlots])
STUCK: Final = timedelta(hours=2)
"""How long a connected call may last before it is marked."""
RINGS_TOO_LONG: Final = timedelta(minutes=5)
"""How long a call may stay unconnected before it is marked."""
STATES: Final = {
    "dialling": template("being dialled"),
    "answered": template("answered, hears the sound"),
    "connected": template("in conversation"),
    "suspended": template("being ended: its number is suspended"),
}


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call in progress as a table row."""

    call_id: str
    state: str
    lasted: str
    is_stuck: bool
    outcome: str
    reason: str


async def now(visit: Visit) -> web.StreamResponse:
    """Show the current state.

    The page does not wait for the first count of a day's calls, which the event stream sends later.
    """
    plots = visit.request.app[PLOTS]
    counted = await plots.get() if plots.is_ready else DecisionPlots()
    return visit.render("now.html", plots=counted, **_state(visit, visit.console.live.newest))


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the state every second and the plots less often."""
    shared_plots = visit.request.app[PLOTS]

    def counted(plots: DecisionPlots) -> bytes:
        return event("plots", visit.shared_fragment("now_plots.html", plots, lambda: {"plots": plots}))

    async def events() -> AsyncIterator[bytes]:
        plots = await shared_plots.get()
        yield counted(plots)
        async for state in visit.console.live.follow():
            for name in ("state", "service"):
                yield event(name, visit.shared_fragment(f"now_{name}.html", state, partial(_state, visit, state)))
            before, plots = plots, await shared_plots.get()
            if plots is not before:
                yield counted(plots)

    return await stream(visit, events())


def _state(visit: Visit, state: ServiceState) -> dict[str, Any]:
    """Context for the templates `now_state.html` and `now_service.html`."""
    feed = state.feed
    return {
        "state": state,
        "feed": feed,
        "rate": calls_a_second(visit.console.live),
        "running": [] if feed is None else [running_call(call, state.at) for call in feed["calls"]["oldest"]],
        "rows": [] if feed is None else [*status_command.rows(feed)],
    }


def running_call(call: Mapping[str, Any], at: datetime) -> RunningCall:
    lasted = max(timedelta(0), at - datetime.fromisoformat(call["decided"]))
    is_stuck = lasted > (STUCK if call["state"] == "connected" else RINGS_TOO_LONG)
    return RunningCall(
        call["call_id"],
        STATES.get(call["state"], call["state"]),
        status_command.duration(lasted.total_seconds()),
        is_stuck,
        call["outcome"],
        call["reason"],
    )


def calls_a_second(live: LiveState) -> float | None:
    """Decided calls per second over the last few seconds, or None if unknown.

    It is unknown if only one state is in memory, or if the service was down or restarted in the meantime.
    """
    first, last = live.states[0], live.states[-1]
    if first is last or first.feed is None or last.feed is None:
        return None
    if first.feed["instance"]["pid"] != last.feed["instance"]["pid"]:
        return None
    calls = _decisions(last.feed) - _decisions(first.feed)
    return calls / (last.at - first.at).total_seconds()


def _decisions(feed: Mapping[str, Any]) -> int:
    return sum(each["calls"] for each in feed["calls"]["decisions"])


PAGES = (
    Page("/now", now, Right.LOOK, title=template("Now")),
    Page("/now/changes", changes, Right.LOOK),
)
