"""A service's report on itself to other nodes, and the hook that it finds in Asterisk."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from idtone.core.errors import AriUnavailable
from idtone.ledger.replication.replica_connection import ReportResult
from idtone.operations.fleet.node_states import KNOWN_FORMAT, NodeState
from idtone.service import loaded_hook_check, node_state
from idtone.service.instance_parts import InstanceParts
from idtone.service.loaded_hook_check import LoadedHookCheck
from idtone.service.node_state import STATE, NodeStateReport
from idtone.service.status_feed import snapshot
from lab.core.shown_numbers import shows
from lab.lab import wait_until
from lab.ledger.sample_evidence import CALLED, FORWARDING

TOAST_BYTES = 2000
"""Size in bytes from which PostgreSQL stores a value in a separate table, so that an UPDATE writes several rows."""


def exchange(before: str | None = "own") -> ReportResult:
    return ReportResult(-0.01, 0.002, "own", before)


def paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from paths(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_the_state_is_what_the_feed_says_and_other_nodes_can_read_it(parts: InstanceParts) -> None:
    report = NodeStateReport(parts, lambda: True)
    text = report(None)
    found, feed = json.loads(text), snapshot(parts)
    assert NodeState.model_validate(found).calls.decided == 2
    assert found["calls"] == {
        "in_progress": 1, "decided": 2, "a_second": None, "over": 1, "with_sound": 1, "sent": 1, "confirmed": 0,
    }  # fmt: skip
    for part in ("registry", "fallback", "hook"):
        assert found[part].items() <= feed[part].items()
    assert found["registry"]["taken"]
    assert (found["clock"], found["rivals"], found["running"]) == (None, 0, True)
    assert len(text) < TOAST_BYTES
    assert not any(shows(text, number) for number in (FORWARDING, CALLED))
    for secret in ("1795.1-1", "m-1", "L-1"):
        assert secret not in text


def test_every_field_is_known_to_who_reads_it() -> None:
    assert node_state.FORMAT == KNOWN_FORMAT
    told, read = {field.name for field in STATE}, {*paths(NodeState)}
    # The keepers of each node read the others' `brake` and `suspensions`.
    assert {each.partition("replication.")[0] or "replication" for each in read} == told - {
        "format",
        "brake",
        "suspensions",
    }


def test_the_rate_the_clock_and_rivals_come_with_the_reports(parts, monkeypatch):
    times = iter(range(100, 200))
    monkeypatch.setattr(node_state, "time", SimpleNamespace(monotonic=lambda: next(times)))
    report = NodeStateReport(parts, lambda: False)

    def next_one(of: ReportResult | None) -> Any:
        return json.loads(report(of))

    next_one(None)
    parts.counts.decisions["incoming", "ari", "PLAY", "x"] += 30
    second = next_one(exchange(None))
    assert (second["calls"]["a_second"], second["running"]) == (30, False)
    assert second["clock"] == {"least_seconds": -0.01, "most_seconds": 0.002}
    for _ in range(9):
        last = next_one(exchange())
    assert (last["calls"]["a_second"], last["rivals"]) == (3, 0)
    assert next_one(exchange())["calls"]["a_second"] == 0
    assert [next_one(exchange("other"))["rivals"] for _ in range(4)] == [1, 2, 3, 4]


class Asterisk:
    """A connection to Asterisk that gives this answer, or fails."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    async def request(self, method: str, path: str, **query: str | int) -> Any:
        assert (method, path, query) == ("GET", "asterisk/variable", {"variable": "IDTONE_HOOK"})
        self.asked += 1
        if self.answer is None:
            raise AriUnavailable("no")
        return self.answer


async def test_the_loaded_hook_is_asked_for_on_each_connection_and_again(monkeypatch):
    monkeypatch.setattr(loaded_hook_check, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(loaded_hook_check, "ASK_EVERY_S", 0.01)
    hook, runner = LoadedHookCheck("ab12"), SimpleNamespace(connection=None)
    watching = asyncio.create_task(hook.watch(runner))
    try:
        for answer, digest, is_current in (
            ({"value": "ab12"}, "ab12", True),
            ({"value": ""}, "", False),
            (None, None, None),
            ({}, None, None),
        ):
            runner.connection = one = Asterisk(answer)
            await wait_until(lambda one=one: one.asked > 2, "the third question")
            assert (hook.digest, hook.is_current) == (digest, is_current)
        runner.connection = Asterisk({"value": "cd34"})
        await wait_until(lambda: hook.digest == "cd34", "the answer")
        runner.connection = None
        await wait_until(lambda: hook.digest is None, "the end of the connection")
    finally:
        watching.cancel()
    assert LoadedHookCheck(None).is_current is None
