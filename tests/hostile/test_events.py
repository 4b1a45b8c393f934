"""One real call as Asterisk told it, damaged: nothing escapes, nothing is decided or heard that was not."""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone.ari_app import events
from idtone.ari_app.flow import HEARD_TOLERANCE_S
from idtone.tones.library import load_library
from idtone.tones.making.sounds import Sound, ensure_sounds

from ..ari_app.fake_asterisk import FakeAsterisk
from ..ari_app.test_application import NONCE, SOUND_MS, VERDICT, Notebook
from .applications import application

RECORDED: Final[list[dict[str, Any]]] = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))
"""Every event of one call through a real Asterisk 22.10 in its order; the playback's id is PLAYBACK."""
CALLER, CALLED, CALL = "1795.0", "1795.1", "1795.0-1"
HEARD = "heard"
NEXT: Final = (
    "9999.0",
    "decide",
    "9999.0-1",
    NONCE,
    "0312345677",
    "incoming",
    "",
    "PJSIP%2F0312340000%40trunk",
    "",
    "",
)
REFUSE: Final = f"v:{NONCE}:REFUSE:number-suspended:21:2:none:early"

JUNK: Final = [
    None, True, False, 0, -1, 1e400, 2**70, "", "x", "PLAYBACK", CALLER, CALLED, CALL, "done", "failed", "CONNECTED",
    "\n", "x" * 300, "../../x", "2026-11-25T09:27:28", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+23:59",
    [], {}, [[]], {"id": []}, ["decide"], ["sound", "called", "called", CALL, "", ""], [1, 2],
]  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every node below this one."""
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


PLACES: Final = [(index, path) for index, message in enumerate(RECORDED) for path in places(message)]
_NAMES: Final = frozenset(
    "type channel playback caller number args timestamp state cause userevent call status reason".split()
)
READ: Final = [
    (index, path)
    for index, path in PLACES
    if path[-1] in _NAMES or path[0] == "args" or (path[-1] == "id" and path[0] in ("channel", "playback"))
]
"""Those that the service reads."""


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The call with up to three nodes damaged and up to three events moved, repeated or lost."""
    told = copy.deepcopy(RECORDED)
    for index, path in draw(st.lists(st.sampled_from(READ) | st.sampled_from(PLACES), max_size=3)):
        node: Any = told[index]
        try:
            for step in path[:-1]:
                node = node[step]
            if draw(st.booleans()):
                node[path[-1]] = copy.deepcopy(draw(st.sampled_from(JUNK)))
            else:
                del node[path[-1]]
        except (LookupError, TypeError):
            continue  # what was here is damaged already
    for _ in range(draw(st.integers(0, 3))):
        here, there = draw(st.integers(0, len(told) - 1)), draw(st.integers(0, len(told) - 1))
        match draw(st.sampled_from(["repeat", "lose", "move"])):
            case "repeat":
                told.insert(there, copy.deepcopy(told[here]))
            case "lose" if len(told) > 1:
                del told[here]
            case "move":
                told.insert(there, told.pop(here))
    return told


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


class Told:
    """What the application made of a conversation."""

    def __init__(self, sounds: dict[str, Sound]) -> None:
        self.asterisk, self.notebook = FakeAsterisk(), Notebook()
        self.asterisk.channels = {name: {"app_name": "", "app_data": ""} for name in (CALLER, CALLED)}
        self.application = application(sounds, self.notebook, functools.partial(next, itertools.count(0.0)))
        self.events: list[events.Event | None] = []

    async def hear(self, told: Sequence[dict[str, Any]]) -> None:
        """The conversation; then an honest call, which must be answered."""
        attending = asyncio.create_task(self.application.attend(self.asterisk))
        await settle()
        for message in told:
            playback = next(iter(self.asterisk.playbacks()), "PLAYBACK")
            event = events.read(json.dumps(message).replace("PLAYBACK", playback))
            self.events.append(event)
            if event is not None and not isinstance(event, events.Response):
                self.asterisk.happens(event)
            await settle()
            if isinstance(event, events.Replaced):
                assert attending.done()
                return
        assert not attending.done(), "the application gave up"
        self.asterisk.enter(*NEXT)
        await settle()
        assert self.asterisk.resumed_at(NEXT[0]) == REFUSE
        attending.cancel()
        await asyncio.wait({attending})

    def heard(self) -> bool:
        """Whether what was told says that a sound of ours was played to its end."""
        for first, second in itertools.combinations(self.events, 2):
            if (
                isinstance(first, events.PlaybackStarted)
                and isinstance(second, events.PlaybackFinished)
                and first.playback == second.playback
                and second.playback in self.asterisk.playbacks()
                and second.state == "done"
                and second.at - first.at >= timedelta(milliseconds=SOUND_MS, seconds=-HEARD_TOLERANCE_S)
            ):
                return True
        return False

    def verdicts(self) -> set[str]:
        return {
            query["extension"]
            for method, path, query in self.asterisk.requests
            if path == f"channels/{CALLER}/continue" and query.get("extension", "").startswith("v:")
        }


def test_the_call_as_it_was_is_heard(sounds):
    told = Told(sounds)
    asyncio.run(told.hear(RECORDED))
    assert told.heard()
    assert told.verdicts() == {VERDICT}
    assert told.asterisk.resumed_at(CALLED) == HEARD
    assert told.notebook.kinds()[:-1] == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]


def assert_truthful(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    escaped = [record.exc_info for record in caplog.records if record.exc_info]
    assert not escaped, escaped
    released = [query.get("extension") for _, path, query in told.asterisk.requests if path.endswith("/continue")]
    if not told.heard():
        assert HEARD not in released
        assert "sound-ended" not in told.notebook.kinds()
    entered = [event for event in told.events if isinstance(event, events.Entered) and event.channel == CALLER]
    if {event.arguments for event in entered} <= {tuple(RECORDED[0]["args"])}:
        assert told.verdicts() <= {VERDICT}


def unfit(told: Sequence[dict[str, Any]]) -> bool:
    """A call id that cannot be one: what becomes of it is a test of its own below."""
    for message in told:
        event = events.read(json.dumps(message))
        if isinstance(event, events.Entered) and len(event.arguments) in (6, 9):
            call_id = event.arguments[1 if len(event.arguments) == 9 else 3]
            if not (0 < len(call_id) <= 255 and call_id.isprintable()):
                return True
    return False


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(conversations().filter(lambda told: not unfit(told)))
def test_a_damaged_call_is_no_other_call(sounds, caplog, told):
    caplog.clear()
    heard = Told(sounds)
    asyncio.run(heard.hear(told))
    assert_truthful(heard, caplog)


START, FORWARDED, SOUND, STARTED, FINISHED = 0, 1, 2, 3, 4
"""Where what happens in RECORDED."""
ORDERS: Final = {
    "left before it entered": [FORWARDED, START, SOUND, STARTED, FINISHED],
    "sounded before it was decided": [SOUND, START, STARTED, FINISHED],
    "finished before it started": [START, FORWARDED, SOUND, FINISHED, STARTED],
    "finished without a start": [START, FORWARDED, SOUND, FINISHED],
    "finished twice": [START, FORWARDED, SOUND, STARTED, FINISHED, FINISHED],
    "started twice": [START, FORWARDED, SOUND, STARTED, STARTED, FINISHED],
    "destroyed twice": [START, FORWARDED, SOUND, STARTED, FINISHED, 9, 9, 10, 10],
    "destroyed before it left": [START, 10, FORWARDED],
    "ended before it began": [8, 9, 10, START, FORWARDED, SOUND, STARTED, FINISHED],
    "entered twice": [START, START, FORWARDED, SOUND, STARTED, FINISHED],
    "everything backwards": list(reversed(range(len(RECORDED)))),
    "everything twice": [index for index in range(len(RECORDED)) for _ in range(2)],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_an_order_that_cannot_be(sounds, caplog, order):
    told = Told(sounds)
    asyncio.run(told.hear([RECORDED[index] for index in order]))
    assert_truthful(told, caplog)


def test_a_playback_of_another_application_is_not_ours(sounds, caplog):
    told = Told(sounds)
    foreign = [json.loads(json.dumps(RECORDED[index]).replace("PLAYBACK", "another")) for index in (STARTED, FINISHED)]
    asyncio.run(told.hear([*RECORDED[:STARTED], *foreign, *foreign]))
    assert_truthful(told, caplog)
    assert told.asterisk.resumed_at(CALLED) is None


def judged(sounds: dict[str, Sound], caplog: pytest.LogCaptureFixture, told: Sequence[dict[str, Any]]) -> Told:
    heard = Told(sounds)
    asyncio.run(heard.hear(told))
    assert_truthful(heard, caplog)
    return heard


@pytest.mark.parametrize(
    "call_id",
    [
        pytest.param("", id="empty"),
        pytest.param("1795.0\n2026-11-25 09:17:08,458 INFO forged", id="a line of the log"),
        pytest.param("x" * 300, id="long"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_a_call_id_that_is_none_gets_no_verdict_and_is_let_go(sounds, caplog, call_id):
    """To the hook that is a service that is away: it goes on at once, and not after its three seconds."""
    start = copy.deepcopy(RECORDED[START])
    start["args"][1] = call_id
    told = judged(sounds, caplog, [start])
    assert told.asterisk.resumed_at(CALLER) == ""
    assert not told.verdicts()


def test_a_channel_that_enters_twice_is_sounded_once(sounds, caplog):
    told = judged(sounds, caplog, [RECORDED[index] for index in (START, FORWARDED, SOUND, SOUND, STARTED, FINISHED)])
    assert len(told.asterisk.playbacks()) == 1
    assert told.notebook.kinds().count("answered") == 1


CHANNELS: Final = [
    None, 7, {"id": CALLER}, "x", [None], [7], [[]], [{}], [{"id": CALLER}],
    [{"id": CALLER, "dialplan": None}], [{"id": [], "dialplan": {}}],
    [{"id": CALLER, "dialplan": {"app_name": "Stasis", "app_data": f"idtone,decide,{CALL},{NONCE},0312345678,,,x,,"}}],
]  # fmt: skip


@pytest.mark.parametrize("channels", CHANNELS, ids=repr)
def test_a_list_of_channels_that_is_none_is_told_in_one_line(sounds, caplog, channels):
    class Odd(FakeAsterisk):
        async def request(self, method: str, path: str, **query: str) -> Any:
            answer = await super().request(method, path, **query)
            return channels if path == "channels" else answer

    told = Told(sounds)
    told.asterisk = Odd()
    told.asterisk.channels = {name: {"app_name": "", "app_data": ""} for name in (CALLER, CALLED)}
    asyncio.run(told.hear(RECORDED[:1]))
    assert_truthful(told, caplog)
