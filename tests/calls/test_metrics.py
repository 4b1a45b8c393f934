"""The service as a real Prometheus sees it: calls on a real Asterisk, and a hand-over."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.asterisk import free_ports
from lab.calls.assert_proved import over_both_interfaces
from lab.lab import SUSPENDED, Forwarding, lab, wait_until
from lab.prometheus import Prometheus
from lab.publication import LAB_REGISTRY
from lab.repository import ROOT
from lab.service import Service
from tools.dashboards import all_expressions

RULES = ROOT / "config" / "monitoring" / "idtone-alerts.yml"
WITHOUT_DATA = {
    expression
    for expression in all_expressions()
    if any(
        each in expression
        for each in (
            "unreplicated",
            "chain_tokens",
            "certification_lapses",
            "never_originates",
            "brake_shared",
            "canary",
            "lines_",
            "backup_",
            "idtone_stamped_",
        )
    )
}
"""Expressions without data for this service.

It has no replica in PostgreSQL, no other nodes, no backups and no time-stamping authority. Its registry has no
certifications and no list.
"""


def has_data(prometheus: Prometheus, expression: str) -> bool:
    """True if a panel with this expression shows data. The variables are filled in as Grafana does."""
    query = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    now_s = time.time()
    return bool(prometheus.get("query_range", query=query, start=str(now_s - 60), end=str(now_s), step="1")["result"])


def shown(prometheus: Prometheus) -> set[str]:
    return {expression for expression in all_expressions() if has_data(prometheus, expression)}


@pytest.fixture
def own_service(asterisk, shared_service) -> Iterator[Service]:
    shared_service.stop_with_empty_journal()
    (port,) = free_ports(1)
    with Service(asterisk, LAB_REGISTRY, metrics=f"127.0.0.1:{port}") as service:
        yield service


@pytest.fixture
def prometheus(own_service: Service, tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path, own_service.metrics, RULES) as running:
        yield running


@pytest.mark.nightly
async def test_prometheus_sees_calls_and_a_hand_over(asterisk, own_service, prometheus):
    becomes = prometheus.becomes
    async with lab(asterisk) as phones:
        talking = [await phones.place(forwarding) for forwarding in over_both_interfaces(Forwarding())]
        await asyncio.to_thread(becomes, "idtone_calls_in_progress", 2)
        for placed in talking:
            await phones.talk_and_hang_up(placed)
        for forwarding in over_both_interfaces(Forwarding(SUSPENDED)):
            assert (await phones.call(forwarding))[1].reason == "number-suspended"
    of_each = {
        expression: wanted
        for interface in ("ari", "agi")
        for labels in (f'interface="{interface}",direction="incoming"',)
        for expression, wanted in (
            (f'idtone_decisions_total{{outcome="PLAY",reason="licence-valid",{labels}}}', 1),
            (f'idtone_decisions_total{{outcome="REFUSE",reason="number-suspended",{labels}}}', 1),
            (f'idtone_decision_seconds_count{{interface="{interface}"}}', 2),
        )
    }
    for expression, wanted in {
        **of_each,
        'idtone_calls_ended_total{status="CONNECTED"}': 2,
        'idtone_calls_ended_total{status="REFUSED"}': 2,
        "idtone_calls_with_sound_total": 2,
        "idtone_calls_sent_total": 2,
        "idtone_connect_seconds_count": 2,
        "idtone_calls_in_progress": 0,
        "idtone_ari_connected": 1,
        "idtone_suspensions_in_force": 1,
        "idtone_registry_version": 42,
        "idtone_hand_overs_total": 0,
    }.items():
        await asyncio.to_thread(becomes, expression, wanted)
    # A rate needs two scrapes of its counter.
    wanted = set(all_expressions()) - WITHOUT_DATA
    with contextlib.suppress(AssertionError):  # the next line says what is missing
        await wait_until(lambda: shown(prometheus) >= wanted, "the panels' data", 10)
    assert shown(prometheus) == wanted
    assert 0.88 <= prometheus.value("idtone_connect_seconds_sum") < 2
    for interface in ("ari", "agi"):
        assert prometheus.value(f'idtone_decision_seconds_sum{{interface="{interface}"}}') < 1
    before = own_service.process
    await asyncio.to_thread(own_service.start, "--take-over")
    assert before
    assert await asyncio.to_thread(before.wait, 10) == 0
    await asyncio.to_thread(becomes, "idtone_hand_overs_total", 1)
    await asyncio.to_thread(becomes, 'up{job="idtone"}', 1)
    assert "metrics.listen cannot be used" not in own_service.log()


@pytest.mark.nightly
async def test_prometheus_loads_the_alert_rules_and_is_told_that_the_service_is_away(own_service, prometheus):
    groups = await asyncio.to_thread(prometheus.get, "rules")
    assert {rule["health"] for group in groups["groups"] for rule in group["rules"]} <= {"ok", "unknown"}
    await asyncio.to_thread(prometheus.becomes, 'up{job="idtone"}', 1)
    await asyncio.to_thread(own_service.stop)
    await asyncio.to_thread(prometheus.becomes, 'count(ALERTS{alertname="IdtoneDown"})', 1)
