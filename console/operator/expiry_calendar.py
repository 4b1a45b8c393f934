"""Expiries of the registry, licences, pledges, reseller checks and certifications by month."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from aiohttp import web

from idtone.core.decision import time_by
from idtone.core.japan_time import JAPAN
from idtone.core.translation import template
from idtone.registry.expiries import Expiry, ExpiryKind, expiries
from idtone.registry.licence_lapses import LICENCE_SOON

from ..access.rights import Right
from ..drawings.month_bars import MonthBars, month_bars
from ..page import Page, Visit
from ..time_formats import day, last_moment

MONTHS: Final = 12
"""Number of months in the chart, starting with the current month."""
SHOWN: Final = 1000
"""Maximum number of entries in the list. The earliest are shown."""
KINDS: Final = {
    ExpiryKind.REGISTRY: template("registry"),
    ExpiryKind.LICENCE: template("licence"),
    ExpiryKind.PLEDGE: template("pledge"),
    ExpiryKind.CHAIN_CHECK: template("check of a reseller"),
    ExpiryKind.CERTIFICATION: template("certification"),
    ExpiryKind.MARK: template("mark of ETOC"),
    ExpiryKind.CERTIFICATION_CHECK: template("next check of a certification"),
}
_TOGETHER: Final = dict.fromkeys((ExpiryKind.MARK, ExpiryKind.CERTIFICATION_CHECK), ExpiryKind.CERTIFICATION)
"""The kind under which the chart counts each kind of expiry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An expiry as a table row."""

    expiry: Expiry
    kind: str
    days: int
    """Days from now, or a negative number if the expiry is in the past."""
    is_over: bool
    is_soon: bool


async def show(visit: Visit) -> web.StreamResponse:
    read = await visit.console.registry.look()
    now = time_by(read.index, datetime.now(UTC))
    found = await visit.in_thread(expiries, read.document, read.index, visit.console.settings.policy.chain_check)
    rows = entries(found[:SHOWN], now)
    return visit.render(
        "expiries.html",
        read=read,
        over=[row for row in rows if row.is_over],
        months=by_month(rows),
        total=len(found),
        shown=len(rows),
        ends=ends,
        soon=sum(row.is_soon for row in rows),
        bars=bars_of(found, now),
        kinds=KINDS,
        checks_end=visit.console.settings.policy.chain_check is not None,
    )


def entries(found: Sequence[Expiry], now: datetime) -> list[Entry]:
    return [
        Entry(each, KINDS[each.kind], (each.at - now).days, each.at <= now, now < each.at <= now + LICENCE_SOON)
        for each in found
    ]


def by_month(rows: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """Future expiries grouped by month in Japan."""
    coming = (row for row in rows if not row.is_over)
    return [(month, [*of_month]) for month, of_month in groupby(coming, key=lambda row: ends(row.expiry)[:7])]


def bars_of(found: Sequence[Expiry], now: datetime) -> MonthBars:
    """Chart of future expiries, starting with the current month."""
    months, first = [], now.astimezone(JAPAN).replace(day=1)
    for _ in range(MONTHS):
        months.append(first.strftime("%Y-%m"))
        first = (first + timedelta(days=32)).replace(day=1)
    counted = Counter((ends(each)[:7], _TOGETHER.get(each.kind, each.kind)) for each in found if each.at > now)
    shown = [kind for kind in ExpiryKind if kind not in _TOGETHER]
    return month_bars(months, {str(kind): [counted[month, kind] for month in months] for kind in shown})


def ends(expiry: Expiry) -> str:
    """Text for an expiry: the last valid day in Japan or the moment it ends.

    For a certification check, the text is its due date.
    """
    return day(expiry.at) if expiry.kind is ExpiryKind.CERTIFICATION_CHECK else last_moment(expiry.at)


PAGES = (Page("/expiries", show, Right.LOOK, title=template("Expiry calendar")),)
