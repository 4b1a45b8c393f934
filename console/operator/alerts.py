"""Alerts from the operator's Prometheus, shown on their own page and live on the health page."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from idtone.core.translation import speak, template

from ..access.rights import Right
from ..event_stream import event, stream
from ..page import Page, Visit
from ..prometheus_alerts import MOST, AlertState, PrometheusAlerts

PATH: Final = "/health/alerts"
PROMETHEUS: Final = web.AppKey("prometheus", PrometheusAlerts)
"""Key for the operator's Prometheus, present only if the settings name one."""
ASK_EVERY_S: Final = 10.0
STATES: Final = {AlertState.FIRING: template("firing"), AlertState.PENDING: template("pending")}


async def alerts(visit: Visit) -> web.StreamResponse:
    return visit.render("alerts.html", **await _now(visit))


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the current alerts every ten seconds, so that the health page itself need not wait for Prometheus."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            speak(visit.language)
            yield event("alerts", visit.fragment("alerts_now.html", **await _now(visit)))
            await asyncio.sleep(ASK_EVERY_S)

    return await stream(visit, events())


async def _now(visit: Visit) -> dict[str, Any]:
    """Context for the template `alerts_now.html`."""
    prometheus = visit.request.app.get(PROMETHEUS)
    now = await prometheus.now() if prometheus else None
    return {
        "now": now,
        "address": prometheus.address if prometheus else None,
        "shown": now.alerts[:MOST] if now else (),
        "states": STATES,
    }


PAGES = (
    Page(PATH, alerts, Right.LOOK),
    Page(f"{PATH}/changes", changes, Right.LOOK),
)
