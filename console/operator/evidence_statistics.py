"""Call counts by day, hour, outcome, reason, member and licence for the period in the address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from markupsafe import Markup

from idtone.core.calls import Outcome
from idtone.core.errors import IdtoneError
from idtone.core.japan_time import JAPAN
from idtone.core.translation import speak
from idtone.ledger.evidence.tally import Part, Tally, columns
from idtone.registry.model import day_begins

from ..access.rights import Right
from ..counts import Counts
from ..downloads import download_csv
from ..drawings.stacked_plot import StackedPlot, stacked_plot
from ..event_stream import event, stream
from ..fleet_live import FLEET
from ..other_nodes import is_other_node, other_nodes
from ..page import Page, Visit
from ..statistics import Statistics

PATH: Final = "/evidence/statistics"
STATISTICS: Final = web.AppKey("statistics", dict[str, Statistics])
"""Key for the statistics by node name. An empty name means this node."""
LOOK_EVERY_S: Final = 0.5
PERIOD: Final = timedelta(days=29)
"""Time between the first and last days of the default period."""
HOURS_WITHIN: Final = timedelta(days=7)
"""Periods whose first and last days are closer together than this are plotted by hour."""
MOST_DAYS: Final = 3700
SHOWN: Final = 100
"""Maximum number of rows in each table on the page. CSV files contain all rows."""


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date

    @classmethod
    def of(cls, first: str, last: str, today: date) -> Period:
        """The period between the days in an address. Days outside the years 2000 to 2199 count as missing.

        The first day is at most `MOST_DAYS` days before the last.
        """
        end = _day(last) or today
        begin = _day(first) or end - PERIOD
        begin, end = min(begin, end), max(begin, end)
        return cls(max(begin, end - timedelta(days=MOST_DAYS)), end)

    @property
    def days(self) -> dict[str, str]:
        """The first and last days as query parameters."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}

    @property
    def by_hour(self) -> bool:
        return self.last - self.first < HOURS_WITHIN


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None


def _period(visit: Visit) -> Period:
    return Period.of(visit.query("from"), visit.query("to"), datetime.now(JAPAN).date())


def plot_of(counts: Counts, period: Period, now: datetime) -> StackedPlot:
    """Plot of calls by outcome for each day, or for each hour if the period is short."""
    first = day_begins(period.first).astimezone(JAPAN)
    step = timedelta(hours=1) if period.by_hour else timedelta(days=1)
    places = ((period.last - period.first).days + 1) * (24 if period.by_hour else 1)
    times = [first + step * place for place in range(places)]
    series = {str(outcome): [0] * len(times) for outcome in Outcome}
    for (hour, outcome), calls in counts.hours.items():
        place = (hour - first) // step if period.by_hour else (hour.date() - period.first).days
        if 0 <= place < places and outcome in series:
            series[outcome][place] += calls
    return stacked_plot(times, series, step, now)


@dataclass(frozen=True, slots=True)
class CountedPeriod:
    """Values for a period's page, reused until the counts or the hour change."""

    counts: Counts
    period: Period
    hour: datetime
    shown: Mapping[str, Any]

    @classmethod
    def of(cls, counts: Counts, period: Period, now: datetime, before: CountedPeriod | None) -> CountedPeriod:
        """Values for a period, or `before` itself if nothing has changed.

        Reuse matters, because drawing the plot takes half of the page's time.
        """
        hour = now.replace(minute=0, second=0, microsecond=0)
        if before and before.counts is counts and (before.period, before.hour) == (period, hour):
            return before
        shown = {
            "days": counts.grouped(Part.DAY, period.first, period.last),
            "members": _most(counts.grouped(Part.MEMBER, period.first, period.last)),
            "licences": _most(counts.grouped(Part.LICENCE, period.first, period.last)),
            "reasons": counts.by_reason(period.first, period.last),
            "plot": plot_of(counts, period, now),
        }
        return cls(counts, period, hour, shown)


def _most(tallies: Sequence[Tally]) -> list[Tally]:
    return sorted(tallies, key=lambda each: -each.calls)


def _counted(statistics: Statistics, period: Period) -> CountedPeriod | None:
    """Values for the period, or None before the first count."""
    if statistics.counts is None:
        return None
    before = statistics.shown if isinstance(statistics.shown, CountedPeriod) else None
    found = statistics.shown = CountedPeriod.of(statistics.counts, period, datetime.now(JAPAN), before)
    return found


def _part(visit: Visit, period: Period, found: CountedPeriod | None) -> str:
    """The tables and the plot as part of the page, or an empty string before the first count."""
    if found is None:
        return ""

    def context() -> Mapping[str, Any]:
        return {"period": period, "query": _query(visit, period), "most": SHOWN, **found.shown}

    return visit.shared_fragment("evidence_counts.html", found, context)


def _query(visit: Visit, period: Period) -> str:
    return urlencode({**period.days, **({"node": node} if (node := _node(visit)) else {})})


def _node(visit: Visit) -> str:
    """Name of the other node in the address, or an empty string for this node."""
    name = visit.query("node")
    return name if is_other_node(visit.console.settings, name) else ""


def _statistics(visit: Visit, known: Sequence[str] = ()) -> Statistics:
    """Statistics of the node in the address. They are kept only for this node and the `known` nodes."""
    node, stored = _node(visit), visit.request.app[STATISTICS]
    found = stored.get(node) or Statistics(visit.console.settings, node)  # a new one reads a file
    if node in ("", *known):
        stored[node] = found
    return found


async def statistics(visit: Visit) -> web.StreamResponse:
    period, trouble, node = _period(visit), None, _node(visit)
    nodes = await other_nodes(visit.console.settings, visit.request.app[FLEET])
    counted = _statistics(visit, nodes)

    def look() -> tuple[bool | IdtoneError, CountedPeriod | None]:
        found = _counted(counted, period)
        try:
            return counted.is_behind(), found
        except IdtoneError as error:
            return error, found

    is_behind, found = await visit.in_thread(look)
    if isinstance(is_behind, IdtoneError):
        trouble = is_behind
    elif is_behind:
        counted.start()
    return visit.render(
        "evidence_statistics.html",
        trouble=trouble,
        nodes=nodes,
        node=node,
        own_node=visit.console.settings.node,
        counts=counted.counts,
        task=counted.work.task,
        period=period,
        query=_query(visit, period),
        part=Markup(_part(visit, period, found)),  # noqa: S704 - a template made it
    )


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the progress of the count and finally the counts."""
    period, counted = _period(visit), _statistics(visit)
    work = counted.work

    async def events() -> AsyncIterator[bytes]:
        while work.is_running:
            speak(visit.language)
            yield event("progress", visit.fragment("evidence_counting.html", task=work.task, counts=counted.counts))
            await asyncio.sleep(LOOK_EVERY_S)
        speak(visit.language)
        yield event("progress", visit.fragment("evidence_counting.html", task=work.task, counts=counted.counts))
        yield event("counts", _part(visit, period, await visit.in_thread(_counted, counted, period)))
        yield event("end", "end")

    return await stream(visit, events())


async def table(visit: Visit) -> web.StreamResponse:
    """Send one of the page's tables as CSV."""
    period, counts, name = _period(visit), _statistics(visit).counts or Counts(), visit.part("table")
    if name == "reason":
        rows = await visit.in_thread(counts.by_reason, period.first, period.last)
        return download_csv("calls-by-reason.csv", ("outcome", "reason", "calls"), rows)
    if name not in set(Part):
        raise web.HTTPNotFound
    part = Part(name)
    found = await visit.in_thread(counts.grouped, part, period.first, period.last)
    return download_csv(f"calls-by-{part}.csv", columns({part}), (tuple(each.to_json().values()) for each in found))


PAGES = (
    Page(PATH, statistics, Right.LOOK),
    Page(f"{PATH}/changes", changes, Right.LOOK),
    Page(f"{PATH}/{{table}}.csv", table, Right.LOOK),
)
