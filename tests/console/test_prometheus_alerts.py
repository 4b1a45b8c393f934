"""The alerts of a real Prometheus on the health page, and other answers that a server in its place may give."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from idtone.console import prometheus_alerts
from idtone.console.access.rights import Role
from idtone.console.prometheus_alerts import AlertState, read_rules
from idtone.core.settings.settings import Settings
from lab.alert_rules import ALERTS, RULES
from lab.asterisk import LOOPBACK, free_ports
from lab.console.site import Visitor, running_site
from lab.missing_parts import missing_parts
from lab.prometheus import Prometheus

WITHIN_S = 120.0
HOSTILE = '"><script>alert(1)</script>'
METRICS = "idtone_registry_expires_timestamp_seconds 1\nidtone_ari_connected 0\n"
"""Metrics by which the registry has expired, which fires at once, and Asterisk is down, which fires after a minute."""
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each page request the alerts again."""
    monkeypatch.setattr(prometheus_alerts, "FRESH_S", 0.0)


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """Context with a server that answers every request by `handler`."""
    (port,) = free_ports(1)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        yield f"{LOOPBACK}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def visiting(settings: Settings, prometheus: str, language: str = "en") -> AsyncIterator[Visitor]:
    console = settings.console.model_copy(update={"prometheus": prometheus})
    async with running_site(settings.model_copy(update={"console": console})) as site:
        yield await site.visitor(Role.VIEWER, language=language)


@pytest.mark.usefixtures("refreshed")
async def test_alerts_of_a_real_prometheus_are_shown_in_both_languages(settings, tmp_path):
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=METRICS)

    async with serving(metrics) as target:
        with Prometheus(tmp_path, target, RULES) as prometheus:
            await asyncio.to_thread(prometheus.get, "status/buildinfo")
            async with visiting(settings, prometheus.address) as visitor:
                health = await visitor.get("/health")
                assert 'sse-connect="/health/alerts/changes"' in health.text
                deadline_s = asyncio.get_running_loop().time() + WITHIN_S
                page = await visitor.get("/health/alerts")
                wanted = ("1 firing", "IdtoneRegistryExpired", "IdtoneAriDisconnected")
                while not all(each in page.text for each in wanted):
                    assert asyncio.get_running_loop().time() < deadline_s, page.text
                    await asyncio.sleep(0.2)
                    page = await visitor.get("/health/alerts")
                part = await first_event(visitor, "/health/alerts/changes")
                visitor.language = "ja"
                japanese = await visitor.get("/health/alerts")
    for shown in (page.text, part):
        assert not missing_parts(
            shown,
            f"The registry on {target} has expired.",
            "Check whether registry.source can be reached",
            "1 firing",
            f"instance={target}",
            f"{len(ALERTS)} rules",
        )
        assert shown.index("IdtoneRegistryExpired") < shown.index("IdtoneAriDisconnected"), "what fires comes first"
    assert part.startswith("event: alerts\n")
    assert not missing_parts(japanese.text, f"{target} の登録簿の期限が過ぎました。", "registry.source に届くか確認し")
    assert "The registry on" not in japanese.text


async def first_event(visitor: Visitor, path: str) -> str:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = {"Cookie": cookies, "Accept-Language": visitor.language}
    async with visitor.http.get(f"{visitor.site.address}{path}", headers=headers) as stream:
        return (await stream.content.readuntil(b"\n\n")).decode()


def rule(**more: object) -> dict[str, object]:
    alert = {"labels": {"alertname": "IdtoneX"}, "annotations": {}, "state": "firing", "activeAt": NOW.isoformat()}
    return {"name": "IdtoneX", "type": "alerting", "health": "ok", "alerts": [{**alert, **more}]}


def reply(*rules: dict[str, object]) -> dict[str, object]:
    return {"status": "success", "data": {"groups": [{"name": "idtone", "rules": [*rules]}]}}


async def answer(text: str = "", status: int = 200, wait_s: float = 0, **headers: str) -> web.Response:
    await asyncio.sleep(wait_s)
    return web.Response(text=text, status=status, headers=headers)


WRONG = {
    "another server": ({"text": "<html>"}, "the answer is not JSON"),
    "other JSON": ({"text": "[]"}, "the answer is not that of Prometheus"),
    "an error of Prometheus": ({"text": '{"status": "error", "error": "x"}'}, "the answer is not that of Prometheus"),
    "labels that are none": ({"text": json.dumps(reply(rule(labels=[1])))}, "the answer is not that of Prometheus"),
    "a status": ({"text": "no", "status": 500}, "answers with status 500"),
    "a redirect": ({"status": 302, "Location": "/elsewhere"}, "answers with status 302"),
    "too much": ({"text": " " * 3000}, "the answer is larger than 2000 bytes"),
    "too deep": ({"text": "[" * 1900}, "the answer is not JSON"),
    "nothing for long": ({"wait_s": 5.0}, "does not answer: "),
    "no rules of ours": ({"text": json.dumps(reply({"name": "Other"}))}, "Prometheus has no rules of idtone."),
}


@pytest.mark.nightly
@pytest.mark.usefixtures("refreshed")
async def test_a_prometheus_that_is_away_or_another_server_is_said(settings, monkeypatch):
    monkeypatch.setattr(prometheus_alerts, "SIZE_LIMIT", 2000)
    said: dict[str, Any] = {}
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return await answer(**said)

    async with serving(handler) as target, visiting(settings, f"http://{target}/base") as visitor:
        for what, (given, words) in WRONG.items():
            said.clear()
            said.update(given)
            monkeypatch.setattr(prometheus_alerts, "WITHIN_S", 0.5 if "wait_s" in given else 30)
            page = await visitor.get("/health/alerts")
            assert (page.status, words in page.text) == (200, True), (what, page.text)
            assert (await visitor.get("/health")).status == 200
    assert {*asked} == {"/base/api/v1/rules?type=alert"}, "no redirect is followed"
    async with visiting(settings, "http://127.0.0.1:9") as visitor:
        assert "127.0.0.1:9 does not answer" in (await visitor.get("/health/alerts")).text


async def test_many_pages_ask_once_and_hostile_texts_stay_texts(settings):
    asked: list[str] = []
    hostile = rule(
        labels={"alertname": HOSTILE, "severity": HOSTILE, HOSTILE: HOSTILE}, annotations={"summary": HOSTILE}
    )
    broken = {"name": f"Idtone{HOSTILE}", "health": "err", "lastError": HOSTILE}

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(reply(hostile, broken))

    async with serving(handler) as target, visiting(settings, f"http://{target}") as visitor:
        pages = await asyncio.gather(*(visitor.get("/health/alerts") for _ in range(10)))
    assert len(asked) == 1
    assert "<script>" not in pages[0].text
    assert pages[0].text.count("&lt;script&gt;") >= 5


async def test_without_an_address_the_page_says_how_to_give_one(site):
    visitor = await site.visitor(Role.VIEWER)
    for path in ("/health", "/health/alerts"):
        assert "Set console.prometheus to its address" in (await visitor.get(path)).text


def test_what_is_urgent_comes_first():
    found = read_rules(
        reply(
            rule(state="pending", labels={"severity": "critical"}),
            rule(state="firing", labels={"severity": "warning"}),
            rule(state="firing", labels={"severity": "critical"}, activeAt="2026-11-28T03:04:05.123456789+09:00"),
            rule(state="unheard-of"),
            {**rule(), "name": "NotOurs"},
        ),
        NOW,
    )
    assert [(each.state, each.severity) for each in found.alerts] == [
        (AlertState.FIRING, "critical"),
        (AlertState.FIRING, "warning"),
        (AlertState.PENDING, "critical"),
    ]
    assert found.rules == 4
