"""The metrics: their values, the data that they never contain, and the clients that may read them."""

import asyncio
import logging
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from idtone.call_control.request import Request
from idtone.core.calls import Suspension
from idtone.core.decision import Remembered
from idtone.core.settings.settings import Interface
from idtone.ledger.replication.replicator import ReplicaStatus
from idtone.service import ledger_disk_space, metrics_listener
from idtone.service.instance_parts import InstanceParts
from idtone.service.ledger_disk_space import LedgerDiskSpace
from idtone.service.metrics import METRICS, MetricKind
from idtone.service.metrics_listener import MetricsListener
from lab.asterisk import free_ports
from lab.call_control.memory_evidence import registry
from lab.core.shown_numbers import shows
from lab.ledger.sample_evidence import FORWARDING, wait_until
from lab.patch_library import patch_library
from lab.prometheus import promtool


@pytest.fixture
def address() -> tuple[str, int]:
    (port,) = free_ports(1)
    return "127.0.0.1", port


@pytest.fixture
def listener(parts: InstanceParts, address: tuple[str, int]) -> Iterator[MetricsListener]:
    listening = MetricsListener(address, parts)
    listening.begin()
    yield listening
    listening.close()


def get(address: tuple[str, int], path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and text of an answer. Waits for a listener that has just started."""
    asked = urllib.request.Request(f"http://{address[0]}:{address[1]}{path}", method=method)
    deadline_s = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)


@pytest.fixture
def text(listener: MetricsListener, address: tuple[str, int]) -> str:
    status, kind, found = get(address)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return found


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_promtool_objects_to_nothing(text: str, parts: InstanceParts) -> None:
    """The check covers all metrics, with and without a value here."""
    for metric in METRICS:
        if metric.read(parts) is None:
            head = f"# TYPE {metric.name} {metric.kind}\n"
            assert head in text
            text = text.replace(head, f"{head}{metric.name} 1\n")
    assert promtool("check", "metrics", given=text) == ""


def test_every_metric_of_the_table_is_there(text: str, parts: InstanceParts) -> None:
    told = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in METRICS:
        family = told[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        if metric.read(parts) is not None:
            assert {tuple(sorted(set(sample.labels) - {"le"})) for sample in family.samples} == {
                tuple(sorted(metric.labels))
            }
    assert "process" in {name.partition("_")[0] for name in told}


def test_the_values_are_those_of_the_service(text: str, parts: InstanceParts) -> None:
    found = values(text)
    index = parts.source.current
    assert index
    expected = {
        ("idtone_decisions_total", "incoming", "ari", "PLAY", "licence-valid"): 1,
        ("idtone_decisions_total", "incoming", "none", "PLAY", "licence-valid"): 1,  # of the sample evidence
        ("idtone_calls_with_sound_total",): 1,
        ("idtone_calls_sent_total",): 1,
        ("idtone_calls_in_progress",): 1,
        ("idtone_decision_seconds_count", "ari"): 0,  # this request does not say when the hook asked
        ("idtone_connect_seconds_count",): 1,
        ("idtone_ari_connected",): 0,
        ("idtone_ari_reconnects_total",): 0,
        ("idtone_registry_version",): index.version,
        ("idtone_registry_issued_timestamp_seconds",): index.issued.timestamp(),
        ("idtone_registry_expires_timestamp_seconds",): index.expires.timestamp(),
        ("idtone_fallback_file_current",): 1,
        ("idtone_hand_overs_total",): 3,
        ("idtone_ledger_unwritten_steps",): 0,
        ("idtone_suspensions_in_force",): 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert (index.version > 0, len(parts.calls)) == (True, 1)
    assert abs(found["idtone_clock_timestamp_seconds",] - time.time()) < 60
    assert found["idtone_ledger_free_bytes",] > 0
    assert not any(name.startswith("idtone_ledger_unreplicated") for name, *_ in found)  # there is no PostgreSQL


def test_nothing_tells_who_telephones(text: str, parts: InstanceParts) -> None:
    """The metrics contain no number, no last digits of one, no call id, no member and no licence."""
    told = "".join(re.findall(r'="([^"]*)"', text))
    assert not shows(text, FORWARDING)
    for secret in ("1795.1-1", "m-1", "L-1"):
        assert secret not in told


def test_what_the_hook_waited_for_is_counted(parts: InstanceParts) -> None:
    fields = f"decide,1795.2-1,123456789012,{time.time() - 0.3:.6f},0312345678,incoming,0312340000,PJSIP/x,,,,,,,"
    asked = Request.read(fields.split(","))
    assert asked
    parts.calls.decide(asked, Interface.AGI)
    cumulative, total_s = parts.calls.deciding[Interface.AGI].counted()
    assert cumulative[-1] == 1
    assert total_s >= 0.3


def test_suspensions_in_force_are_those_whose_time_has_come(parts, monkeypatch):
    index = registry(
        """
        {number: "0312345601", since: 2026-03-01T00:00:00Z, reference: R},
        {numbers: "031234562*", since: 2026-05-01T00:00:00Z, until: 2026-11-02T00:00:00Z, reference: R},
        {member: m-0001, since: 2026-03-01T00:00:00Z, until: 2026-10-01T00:00:00Z, reference: R},
        {member: m-0001, kind: no-new-numbers, since: 2026-03-01T00:00:00Z, reference: R},
        {number: "0312345602", since: 2099-01-01T00:00:00Z, reference: R}
        """,
        7,
    )
    monkeypatch.setattr(parts.source, "current", index)
    assert parts.suspensions_in_force(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) == 2
    assert parts.suspensions_in_force(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) == 1
    assert parts.suspensions_in_force(0) == 2  # it cannot be earlier than the registry
    monkeypatch.setattr(parts.source, "current", None)
    assert parts.suspensions_in_force(time.time()) == 0
    parts.calls.remembered = Remembered({"8131234567x": [Suspension(datetime.now(UTC) - timedelta(days=1))]})
    assert parts.suspensions_in_force(time.time()) == 1
    assert {metric.name for metric in METRICS if metric.read(parts) is None} >= {
        "idtone_registry_issued_timestamp_seconds",
        "idtone_registry_expires_timestamp_seconds",
    }


@pytest.mark.parametrize(
    ("status", "unreplicated", "replicated"),
    [
        (ReplicaStatus(), None, False),
        (ReplicaStatus(0), 0, True),
        (ReplicaStatus(7), 7, True),
        (ReplicaStatus(7, "it does not answer"), 7, False),
    ],
)
def test_how_far_the_replica_is(parts, status, unreplicated, replicated):
    parts.replicator = SimpleNamespace(status=status)  # type: ignore[assignment]
    read = {metric.name: metric.read(parts) for metric in METRICS if "replicated" in metric.name}
    assert read == {"idtone_ledger_unreplicated_steps": unreplicated, "idtone_ledger_replicated": replicated}


def test_room_that_cannot_be_looked_up_is_missing_and_is_logged(parts, tmp_path, caplog):
    room = LedgerDiskSpace(f"sqlite:///{tmp_path}/no/such/ledger.sqlite3")
    assert (room.free_space_and_days().free_bytes, room.free_space_and_days().days) == (None, None)
    assert caplog.text.count("its room is not known") == 1
    (tmp_path / "unreadable.sqlite3").write_text("no database")
    room = LedgerDiskSpace(f"sqlite:///{tmp_path}/unreadable.sqlite3")
    assert (bool(room.free_space_and_days().free_bytes), room.free_space_and_days().days) == (True, None)
    assert caplog.text.count("the days for which it has room are not known") == 1
    assert parts.room.free_space_and_days().free_bytes


def test_the_free_space_is_that_of_now(parts, monkeypatch):
    """An alert about a full disk is due within two minutes."""
    for free in (7, 0):
        patch_library(
            monkeypatch,
            ledger_disk_space,
            "os",
            statvfs=lambda _, free=free: SimpleNamespace(f_bavail=free, f_frsize=1),
        )
        assert parts.room.free_space_and_days().free_bytes == free


@pytest.mark.usefixtures("listener")
def test_only_the_metrics_are_served(address: tuple[str, int]) -> None:
    assert get(address, "/")[0] == 404
    assert "/metrics" in get(address, "/")[2]
    assert get(address, method="POST")[0] == 405
    status, _, body = get(address, method="HEAD")
    assert (status, body) == (200, "")


def test_one_text_serves_all_requests_of_a_second(parts, address, monkeypatch):
    made: list[bytes] = []
    make = metrics_listener.generate_latest
    monkeypatch.setattr(metrics_listener, "generate_latest", lambda what: made.append(make(what)) or made[-1])
    monkeypatch.setattr(metrics_listener, "FRESH_S", 60.0)
    listening = MetricsListener(address, parts)
    listening.begin()
    for _ in range(5):
        get(address)
    listening.close()
    assert len(made) == 1


def test_the_address_is_tried_again_until_it_is_free(parts, address, monkeypatch, caplog):
    monkeypatch.setattr(metrics_listener, "RETRY_S", 0.05)
    caplog.set_level(logging.INFO)
    with socket.create_server(address):
        listening = MetricsListener(address, parts)
        listening.begin()
        wait_until(lambda: "metrics.listen cannot be used" in caplog.text)
        time.sleep(0.3)  # it is tried again meanwhile
    assert get(address)[0] == 200
    listening.close()
    assert caplog.text.count("metrics.listen cannot be used") == 1
    assert f"metrics are at http://127.0.0.1:{address[1]}/metrics" in caplog.text


def test_closing_frees_the_address_although_a_scraper_does_not_read(parts, address):
    listening = MetricsListener(address, parts)
    listening.begin()
    get(address)
    with ExitStack() as open_ones:
        for _ in range(5):
            slow = open_ones.enter_context(socket.create_connection(address))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics")
            assert slow.recv(1)
        listening.close()
        assert not listening._thread.is_alive()
        listening.close()
        socket.create_server(address).close()


@pytest.mark.usefixtures("listener")
async def test_connections_are_few(address: tuple[str, int]) -> None:
    """A client that opens connections and sends nothing cannot use up the file descriptors that evidence needs."""
    await asyncio.to_thread(get, address)
    opened = [await asyncio.open_connection(*address) for _ in range(4 * metrics_listener.MOST_CONNECTIONS)]
    ended = [asyncio.create_task(_ended(reader)) for reader, _ in opened]
    async with asyncio.timeout(30):
        while sum(task.done() for task in ended) < 2 * metrics_listener.MOST_CONNECTIONS:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    for task in ended:
        task.cancel()
    for _, writer in opened:
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read()


@pytest.mark.usefixtures("listener")
async def test_a_connection_ends_although_its_peer_says_and_reads_nothing(address, monkeypatch):
    monkeypatch.setattr(metrics_listener, "CONNECTION_S", 0.2)
    await asyncio.to_thread(get, address)
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(30):
        await _ended(reader)
    writer.close()


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"idtone_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") is (metric.kind is MetricKind.COUNTER)
        assert metric.meaning.endswith(".")
    assert len({metric.name for metric in METRICS}) == len(METRICS)
