"""`idtone status`: the feed of a service, the screen, and the state that is known without a service."""

import asyncio
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from idtone.core.duration_histogram import Durations
from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings, TimestampSettings
from idtone.core.translation import Message, joined, speak, translated
from idtone.ledger.store.sqlite import path_of
from idtone.service import status_client, status_feed
from idtone.service.instance_parts import InstanceParts
from idtone.service.local_sockets import listening_socket
from idtone.service.metrics import METRICS
from idtone.service.status_client import ask, socket_path
from idtone.service.status_command import read_status, rows, rows_without_service
from idtone.service.status_feed import FEED, snapshot
from lab.call_control.unix_users import SERVICE_GROUP, SERVICE_USER, acting_as, needs_root
from lab.core.shown_numbers import shows
from lab.ledger.sample_evidence import CALLED, FORWARDING


def value(found: Any, name: str) -> Any:
    for each in name.split("."):
        found = found[each]
    return found


@contextmanager
def serving(parts: InstanceParts) -> Iterator[Path]:
    """Context with the feed, in a separate event loop; yields the path of the ledger."""
    over, ready = threading.Event(), threading.Event()

    async def run() -> None:
        async with status_feed.serve_feed(parts):
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait(60)
    try:
        yield path_of(parts.settings.ledger.own_url())
    finally:
        over.set()
        thread.join()


def test_the_feed_has_each_field_and_the_values_of_the_metrics(parts: InstanceParts) -> None:
    with serving(parts) as ledger:
        found = ask(ledger)
    assert found
    for field in FEED:
        value(found, field.name)  # it is there
    (running,) = value(found, "calls.oldest")
    assert running.pop("decided")
    assert running == {
        "call_id": "1795.1-1",
        "outcome": "PLAY",
        "reason": "licence-valid",
        "state": "dialling",
    }
    registry = parts.source.current
    assert registry
    expected = {
        "format": 1,
        "running": True,
        "instance.pid": os.getpid(),
        "instance.hand_overs": 3,
        "calls.in_progress": 1,
        "calls.decisions": [{"outcome": "PLAY", "reason": "licence-valid", "calls": 2}],
        "calls.ended": {"CONNECTED": 1},
        "calls.sent_ratio": 1,
        "registry.version": registry.version,
        "ledger.witnesses": [],
        "replication": None,
    }
    assert {name: value(found, name) for name in expected} == expected
    assert datetime.fromisoformat(value(found, "registry.expires")) == registry.expires
    assert value(found, "calls.longest_seconds") >= 0
    assert value(found, "ledger.free_bytes") > 0


@pytest.mark.parametrize(
    ("ago_s", "trouble", "overdue", "row"),
    [
        (None, "it answered 503", True, "overdue: none was made yet; it answered 503"),
        (5.2, "", False, r"the last one 0:00:(0[5-9]|[1-5]\d) ago"),
        (101 * 60, "", True, r"overdue: the last one 1:41:[0-5]\d ago"),
    ],
)
def test_how_old_the_last_timestamp_is(parts, ago_s, trouble, overdue, row):
    timestamp = TimestampSettings(url="https://tsa.example")
    ledger = parts.settings.ledger.model_copy(update={"timestamp": timestamp})
    parts.settings = parts.settings.model_copy(update={"ledger": ledger})
    at = None if ago_s is None else datetime.now(UTC) - timedelta(seconds=ago_s)
    parts.timestamping = SimpleNamespace(at=at, trouble=trouble)
    found = snapshot(parts)
    assert found["ledger"]["timestamp"]["overdue"] == overdue
    (shown,) = (str(state) for name, state in rows(found) if name == "timestamp")
    assert re.fullmatch(row, shown), shown
    values = {metric.name: metric.read(parts) for metric in METRICS if "stamped" in metric.name}
    assert values == {
        "idtone_stamped_timestamp_seconds": at.timestamp() if at else 0,
        "idtone_stamped_every_seconds": 3600,
    }


def test_nothing_in_the_feed_or_on_the_screen_tells_who_telephones(parts: InstanceParts) -> None:
    found = snapshot(parts)
    shown = json.dumps(found) + "".join(map(str, rows(found)))
    assert not any(shows(shown, number) for number in (FORWARDING, CALLED))
    for secret in ("m-1", "L-1"):
        assert secret not in shown


def test_only_the_services_user_can_read_it(parts: InstanceParts) -> None:
    with serving(parts) as ledger:
        assert socket_path(ledger).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("folder_of", "mode", "listener_of", "answer"),
    [
        ("service", 0o700, "service", "answers"),
        ("service", 0o700, "root", "answers"),
        ("service", 0o770, "service", "other users can write there"),
        ("service", 0o1777, "service", "other users can write there"),
        ("service", 0o700, "stranger", "a process of another user"),
        ("root", 0o777, "stranger", "a process of another user"),
    ],
)
@needs_root
def test_root_asks_the_service_of_another_user_and_believes_no_other(
    folder_of: str, mode: int, listener_of: str, answer: str
) -> None:
    users = {"root": 0, "service": SERVICE_USER, "stranger": SERVICE_USER + 1}
    with tempfile.TemporaryDirectory() as place:
        ledger = Path(place, "l.sqlite3")
        with listening_socket(socket_path(ledger), socket.SOCK_STREAM) as listener:
            with acting_as(users[listener_of], SERVICE_GROUP):
                listener.listen()  # the kernel notes who does this
            Path(place).chmod(mode)
            os.chown(place, users[folder_of], -1)
            if answer != "answers":
                with pytest.raises(UsageError, match=answer):
                    ask(ledger)
                return
            listener.setblocking(True)
            answering = threading.Thread(target=lambda: _answer(listener))
            answering.start()
            assert ask(ledger) == {"format": 1}
            answering.join()


def _answer(listener: socket.socket) -> None:
    with listener.accept()[0] as end:
        end.sendall(b'{"format": 1}')


def test_a_reader_that_does_not_read_keeps_nobody_else_waiting(parts, monkeypatch):
    monkeypatch.setattr(status_feed, "READ_WITHIN_S", 0.5)
    sizes = iter([2**21, 5])  # the second one fits into the socket, however late its reader is
    monkeypatch.setattr(status_feed, "snapshot", lambda _: {"format": 1, "padding": "x" * next(sizes)})
    with serving(parts) as ledger, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(socket_path(ledger)))
        found = ask(ledger)
    assert found == {"format": 1, "padding": "xxxxx"}


def test_the_feed_carries_messages_so_that_a_reader_shows_them_in_japanese(parts, monkeypatch):
    low = Message(
        "the ledger's disk is {room}, {left:.0f} of {size:.0f} MB in reserve", room=Message("low"), left=4, size=4
    )
    made = {"format": 1, "ledger": {"trouble": joined(", ", (low, "x")), "path": "/l"}, "witnesses": [{"trouble": low}]}
    monkeypatch.setattr(status_feed, "snapshot", lambda _: made)
    with serving(parts) as ledger:
        found = ask(ledger)
    assert found == made
    context = copy_context()
    context.run(speak, "ja")
    shown = context.run(translated, found["ledger"]["trouble"])
    assert shown == "台帳のディスク: 空きがわずか(予備領域 4 / 4 MB), x"
    assert context.run(translated, found["witnesses"][0]["trouble"]) + ", x" == shown


def test_a_service_that_hangs_or_is_of_another_version_is_named(settings, monkeypatch):
    monkeypatch.setattr(status_client, "ANSWER_WITHIN_S", 0.2)
    ledger = path_of(settings.ledger.own_url())
    assert ask(ledger) is None
    with listening_socket(socket_path(ledger), socket.SOCK_STREAM) as listener:
        with pytest.raises(UsageError, match=r"the service does not answer within 0\.2 s"):
            ask(ledger)
        found = read_status(settings)
        assert found["running"] is False
        assert "does not answer" in found["trouble"]
        listener.setblocking(True)

        def answer() -> None:
            for _ in range(3):  # the first two are of the readers above
                with listener.accept()[0] as end:
                    try:
                        end.sendall(b'{"format": 99}')
                    except BrokenPipeError:
                        continue

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setattr(status_client, "ANSWER_WITHIN_S", 5)
        with pytest.raises(UsageError, match="of another version"):
            ask(ledger)
        thread.join()


def test_without_a_service_the_files_are_shown(parts: InstanceParts) -> None:
    while not (found := read_status(parts.settings))["ledger"]["steps"]:
        time.sleep(0.01)  # they are written in a thread
    assert parts.source.current
    assert (found["running"], found["registry"]["version"]) == (False, parts.source.current.version)
    shown = "\n".join(" ".join(row) for row in rows_without_service(found))
    assert "no service runs; start it: systemctl start idtone" in shown
    assert re.search(r"l\.sqlite3: [0-9]+ steps, the last written [0-9]{4}-", shown)
    parts.settings.registry.file().unlink()
    assert "No such file" in read_status(parts.settings)["registry"]["trouble"]


def test_without_a_service_and_a_ledger_it_says_so(settings: Settings) -> None:
    assert read_status(settings)["ledger"]["trouble"] == "it does not exist yet"


def test_quantiles_are_estimated_as_prometheus_does() -> None:
    waited = Durations((0.1, 0.2, 1.0))
    assert waited.quantile_s(0.5) is None
    for seconds in (0.05, 0.15, 0.15, 0.15):
        waited.add(seconds)
    assert waited.quantile_s(0.25) == pytest.approx(0.1)
    assert waited.quantile_s(0.5) == pytest.approx(0.1 + 0.1 / 3)
    assert waited.quantile_s(1) == pytest.approx(0.2)
    waited.add(7)
    assert waited.quantile_s(1) == 1.0
