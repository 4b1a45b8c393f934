"""Damaged messages of a real Asterisk about two calls: they cause no exception, and no request gets the verdict of
another.
"""

import asyncio
import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone.ari_app import events
from idtone.ari_app.application import AriApplication
from idtone.core.numbers import parse
from idtone.tones.making.sound_files import Sound
from lab.ari_app.fake_asterisk import FakeAsterisk
from lab.ari_app.memory_call_control import call_control, no_journal
from lab.call_control.memory_evidence import LICENSED, SUSPENDED, MemoryEvidence
from lab.repository import ROOT

RECORDED: Final[dict[str, list[dict[str, Any]]]] = json.loads(
    (ROOT / "lab" / "hostile" / "recorded.json").read_text("utf-8")
)
"""Recorded from Asterisk 22.10: all events that pass the filter for a call through the hook and for one with the
operator's own Dial(); and the channels while both wait.
"""
START, OWN = RECORDED["events"]
CALLER, CALLED = START["channel"]["id"], OWN["channel"]["id"]
VERDICTS: Final = {
    CALLER: "v:123456789987:PLAY:licence-valid:::sample::22",
    CALLED: "v:523415955871:PLAY:licence-valid:::sample::22",
}
NEXT: Final = (
    "decide", "9999000000.0-1", "999999999999", "1795758888.831579", "0312345677", "incoming", "",
    "PJSIP%2F0312340000%40trunk", *[""] * 7,
)  # fmt: skip
ARGUMENTS: Final = 15
"""Number of arguments of the hook's request."""
REFUSE: Final = "v:999999999999:REFUSE:number-suspended:21::::"

JUNK: Final = [
    None, True, False, 0, -1, 1e400, 2**70, "", "x", CALLER, CALLED, f"{CALLER}-1", "123456789987", "0312345677", "own",
    "decide", "\n", "x" * 300, "../../x", "Stasis", "idtone,decide", "\ud800", [], {}, [[]], {"id": []}, ["decide"],
    START["args"], OWN["args"], [1, 2],
]  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all nodes below this one."""
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


PLACES: Final = list(places(RECORDED))
_NAMES: Final = frozenset("type channel id args dialplan app_name app_data".split())
READ: Final = [path for path in PLACES if path[-1] in _NAMES or "args" in path]
"""Paths whose values the service reads."""


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Hypothesis strategy of conversations. Up to three nodes are damaged, and up to three events are repeated, lost or
    moved.
    """
    told = copy.deepcopy(RECORDED)
    for path in draw(st.lists(st.sampled_from(READ) | st.sampled_from(PLACES), max_size=3)):
        node: Any = told
        try:
            for step in path[:-1]:
                node = node[step]
            if draw(st.booleans()) or len(path) == 1:
                node[path[-1]] = copy.deepcopy(draw(st.sampled_from(JUNK)))
            else:
                del node[path[-1]]
        except (LookupError, TypeError):
            continue  # what was here is damaged already
    heard = told["events"] if isinstance(told["events"], list) else []
    for _ in range(draw(st.integers(0, 3)) if heard else 0):
        here, there = draw(st.integers(0, len(heard) - 1)), draw(st.integers(0, len(heard) - 1))
        match draw(st.sampled_from(["repeat", "lose", "move"])):
            case "repeat":
                heard.insert(there, copy.deepcopy(heard[here]))
            case "lose" if len(heard) > 1:
                del heard[here]
            case "move":
                heard.insert(there, heard.pop(here))
    return {"events": heard, "channels": told["channels"]}


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


class Described(FakeAsterisk):
    """An Asterisk that describes these channels as given, and every other channel as existing."""

    def __init__(self, channels: Any) -> None:
        super().__init__()
        self._described = [channel for channel in channels if isinstance(channel, dict)]

    async def waiting(self) -> frozenset[str] | None:
        return events.read_waiting({"channel_ids": [channel.get("id") for channel in self._described]})

    async def channel(self, channel_id: str) -> events.Channel | None:
        described = next((each for each in self._described if each.get("id") == channel_id), None)
        return events.read_channel(described, "idtone") if described else events.Channel(channel_id, None)

    async def request(self, method: str, path: str, **query: str) -> None:
        self.channels.setdefault(path.split("/")[1], {"app_name": "", "app_data": ""})
        await super().request(method, path, **query)


class Told:
    """The results of a conversation in the application."""

    def __init__(self, sounds: dict[str, Sound], channels: Any = ()) -> None:
        self.asterisk, self.evidence = Described(channels if isinstance(channels, list) else []), MemoryEvidence()
        self.application = AriApplication(call_control(sounds, self.evidence), no_journal)
        self.entered: list[events.Entered] = []
        for channel in channels if isinstance(channels, list) else ():
            with suppress(events.AriUnavailable):
                self.entered += filter(None, [events.read_channel(channel, "idtone").entered])

    async def hear(self, told: Sequence[Any]) -> None:
        """Send the conversation, and then an honest call, which must get an answer."""
        attending = asyncio.create_task(self.application.handle_events(self.asterisk))
        await self._settle()
        for message in told:
            event = events.read(json.dumps(message))
            if isinstance(event, events.Entered):
                self.entered.append(event)
            if event is not None and not isinstance(event, events.AriResponse):
                self.asterisk.happens(event)
            await self._settle()
            if isinstance(event, events.Replaced):
                assert attending.done()
                return
        assert not attending.done(), "the application gave up"
        self.asterisk.enter("9999000000.0", *NEXT)
        await self._settle()
        assert self.asterisk.resumed_at("9999000000.0") == REFUSE
        attending.cancel()
        await asyncio.wait({attending})

    async def _settle(self) -> None:
        await settle()
        await self.application.wait_for_requests()  # a channel that is older than the service is looked up in a thread

    def verdicts(self, channel: str) -> set[str]:
        return {query.get("extension", "") for query in self.asterisk.continued(channel)}


def told_of(
    sounds: dict[str, Sound], caplog: pytest.LogCaptureFixture, told: Sequence[Any], channels: Any = ()
) -> Told:
    """The outcome of a conversation. It has passed the checks that hold for all conversations."""
    caplog.clear()
    heard = Told(sounds, channels)
    asyncio.run(heard.hear(told))
    escaped = [record.exc_info for record in caplog.records if record.exc_info]
    assert not escaped, escaped
    decided = [step.call_id for step in heard.evidence.steps if step.kind == "decided"]
    assert len(decided) == len(set(decided)), "decided twice"
    for channel in {event.channel for event in heard.entered}:
        asked = [
            (event.arguments[2], parse(unquote(event.arguments[4])))
            for event in heard.entered
            if event.channel == channel and len(event.arguments) == ARGUMENTS
        ]
        for verdict in heard.verdicts(channel) - {"", "v:none"}:
            _, nonce, outcome, *_ = verdict.split(":")
            numbers = [number for made, number in asked if made == nonce]
            assert numbers, "a verdict for a request that was not made on this channel"
            assert outcome != "PLAY" or parse(LICENSED) in numbers
            assert outcome == "REFUSE" or set(numbers) != {parse(SUSPENDED)}
    return heard


ORDERS: Final = {
    "as they were": (RECORDED["events"], ()),
    "only listed": ([], RECORDED["channels"]),
    "twice, and listed": ([START, START, OWN, OWN], RECORDED["channels"]),
    "backwards, and listed": ([OWN, START], RECORDED["channels"]),
}


@pytest.mark.parametrize(("told", "channels"), ORDERS.values(), ids=ORDERS)
def test_each_request_is_decided_once(sounds, caplog, told, channels):
    heard = told_of(sounds, caplog, told, channels)
    assert {channel: heard.verdicts(channel) for channel in VERDICTS} == {
        channel: {verdict} for channel, verdict in VERDICTS.items()
    }
    assert heard.evidence.kinds() == ["decided"] * 3


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(conversations())
def test_a_damaged_call_is_no_other_call(sounds, caplog, told):
    told_of(sounds, caplog, told["events"], told["channels"])


@pytest.mark.parametrize("call_id", ["", "1795758888.0\n2026-11-25 INFO forged", "x" * 300, "\ud800"], ids=ascii)
def test_a_call_id_that_is_none_gets_no_verdict_and_is_let_go(sounds, caplog, call_id):
    """The hook then treats the service as down, so the fallback begins at once, not after three seconds."""
    start = copy.deepcopy(START)
    start["args"][1] = call_id
    assert told_of(sounds, caplog, [start]).verdicts(CALLER) == {""}


def test_a_channel_that_is_described_wrongly_harms_no_call(sounds, caplog):
    for channels in (
        [{"id": CALLER}],
        [{"id": [], "dialplan": {}}],
        [{"id": CALLER, "dialplan": {"app_name": "Stasis", "app_data": "idtone"}}],
        [{"id": CALLER, "dialplan": {"app_name": "Stasis", "app_data": "idtone,decide,1795758888.0-1,1,,,,,,,,"}}],
    ):
        told_of(sounds, caplog, [OWN], channels)
