"""Queues, FollowMe and confirmation as docs/how-to/queues.md shows them: each member is a Local channel to the hook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from textwrap import dedent
from typing import Any

import pytest

from ..conftest import LAB_REGISTRY
from ..lab import voices
from ..lab.asterisk import LAB_DIALPLAN, MODULES, Asterisk
from ..lab.bootstrap import AsteriskInstallation
from ..lab.called import IncomingCall
from ..lab.heard import hear
from ..lab.keys import Way, press
from ..lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED, Forwarding, Placed, lab, until
from ..lab.phone import Behaviour
from ..lab.service import Service
from .endings import SOUND_S
from .hearing import LATEST_MS, SOONEST_MS, assert_heard_by, heard_by_called

QUEUE, SUSPENDED_QUEUE, FOLLOW_ME, CONFIRMED = "7001", "7002", "7003", "7004"
QUESTION = "notice"
"""What asks the member to press 1: a sound that the lab can tell from the licensed one."""
PRESSED_S = SOUND_S + 0.7
"""From the member's answer to the key: the question was heard by then."""
TALK_S = 0.3

DIALPLAN = f"""
    [idtone-members]
    exten = _[+0-9].,1,Gosub(idtone-forward,s,1(${{LAB_PHONE}},{LICENSED},incoming,60,${{EXTEN}}))
     same = n,Hangup(${{IDTONE_CAUSE}})

    [suspended-members]
    exten = _[+0-9].,1,Gosub(idtone-forward,s,1(${{LAB_PHONE}},{SUSPENDED},incoming,60,${{EXTEN}}))
     same = n,Hangup(${{IDTONE_CAUSE}})

    [lab-extensions](+)
    exten = {QUEUE},1,Queue(support,r)
    exten = {SUSPENDED_QUEUE},1,Queue(suspended,r,,,1)
     same = n,Hangup(19)
    exten = {FOLLOW_ME},1,FollowMe(me,l)
    exten = {CONFIRMED},1,Dial(Local/{CALLED_NUMBER}@idtone-members/n,60,U(confirm))
     same = n,Hangup(19)

    [confirm]
    exten = s,1,Read(KEY,${{IDTONE_SOUNDS}}/{QUESTION},1,,1,2)
     same = n,ExecIf($["${{KEY}}" != "1"]?Set(GOSUB_RESULT=CONTINUE))
     same = n,Return()
"""
QUEUES = f"""
    [support]
    member => Local/{CALLED_NUMBER}@idtone-members/n

    [suspended]
    retry = 1
    member => Local/{CALLED_NUMBER}@suspended-members/n
"""
PROMPTS = "pls_hold_prompt call_from_prompt norecording_prompt options_prompt".split()
"""FollowMe() ends the call where one of its files is missing."""


def followed(sounds: object) -> str:
    prompts = "".join(f"{prompt} => {sounds}/{QUESTION}\n" for prompt in PROMPTS)
    return f"[me]\nnumber => {CALLED_NUMBER},10\ncontext => idtone-members\n{prompts}"


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A PBX of its own, which has queues, and the service beside it."""
    scratch = tmp_path_factory.mktemp("queues")
    modules = (*MODULES, "app_followme", "app_queue", "app_read")
    files = {
        "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in modules),
        "extensions.conf": f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(DIALPLAN)}",
        "queues.conf": QUEUES,
        "followme.conf": followed(scratch / "sounds"),
    }
    with Asterisk(installation, scratch, files) as asterisk, Service(asterisk, LAB_REGISTRY) as service:
        yield service


@asynccontextmanager
async def recorded(service: Service) -> AsyncIterator[list[dict[str, Any]]]:
    """The evidence of the members that are dialled within, when it is whole."""
    before = service.records().keys()
    new: list[dict[str, Any]] = []
    yield new

    async def whole() -> bool:
        records = await asyncio.to_thread(service.records)
        new[:] = [record for call_id, record in records.items() if call_id not in before]
        return bool(new) and all(record["complete"] for record in new)

    await until(whole, "the evidence of the members")


def call(exten: str, interface: str = "ari") -> Forwarding:
    return Forwarding(dialled=exten, way="inside", interface=interface)


def presses(key: str) -> Behaviour:
    """Answer, listen and press a key."""

    async def behave(call: IncomingCall) -> None:
        call.answer()
        await asyncio.sleep(PRESSED_S)
        await press(call, key, Way.EVENTS)

    return behave


def assert_sounded(record: dict[str, Any]) -> None:
    """The evidence of a member whose phone was connected to the Local channel."""
    assert (record["outcome"], record["reason"], record["status"]) == ("PLAY", "licence-valid", "CONNECTED")
    assert (record["heard_by"], record["known_by"]) == (["called"], {"called": "packets"})
    assert record["anomalies"] == []


def assert_sounded_then_asked(placed: Placed, references: dict[str, Any]) -> None:
    sound, question = (heard_by_called(placed, references[name]) for name in ("sample", QUESTION))
    assert sound.complete, f"{placed.name}: {sound}"
    assert sound.times == 1
    assert sound.onset_ms is not None
    assert sound.end_ms is not None
    assert SOONEST_MS <= sound.onset_ms <= LATEST_MS, f"{placed.name}: {sound}"
    assert question.onset_ms is not None, f"{placed.name}: {question}"
    assert question.onset_ms >= sound.end_ms, f"{placed.name}: {question}"


def voices_ms(placed: Placed) -> tuple[float | None, float | None]:
    """When the member heard the caller first, and the caller the member; after the member's answer."""
    assert placed.called
    assert placed.called.answered_ns
    answered_ns = placed.called.answered_ns
    return (
        hear(placed.called.packets, answered_ns, voice=voices.CALLER).voice_ms,
        hear(placed.caller.packets, answered_ns, voice=voices.CALLED).voice_ms,
    )


def assert_talked_after_the_key(placed: Placed) -> None:
    for voice_ms in voices_ms(placed):
        assert voice_ms is not None, f"{placed.name}: the parties never talked"
        assert voice_ms >= PRESSED_S * 1000, f"{placed.name}: heard the other before the key, after {voice_ms} ms"


async def test_the_member_of_a_queue_hears_the_sound_and_is_connected(pbx: Service, references: dict[str, Any]) -> None:
    """By either interface, two callers at once."""
    async with recorded(pbx) as records, lab(pbx.asterisk) as phones:
        calls = [phones.dial(call(QUEUE, interface)) for interface in ("ari", "agi")]
        for placed in calls:
            assert await placed.caller.final() == 200
            phones.pair(placed)
        await asyncio.gather(*(phones.talk_and_hang_up(placed, TALK_S) for placed in calls))
        await phones.nothing_is_left()
    for placed in calls:
        assert_heard_by(placed, {"called": "sample"}, references)
        assert placed.connected_after_ms >= SOUND_S * 1000
    assert sorted(record["interface"] for record in records) == ["agi", "ari"]
    for record in records:
        assert_sounded(record)


async def test_a_member_that_the_hook_refuses_is_not_connected(pbx: Service) -> None:
    """The queue tries it again, and each time has a record."""
    async with recorded(pbx) as records, lab(pbx.asterisk) as phones:
        placed = await phones.place(call(SUSPENDED_QUEUE))
        await phones.nothing_is_left()
        assert not phones.called.calls
    assert not placed.caller.answered_ns
    for record in records:
        assert (record["outcome"], record["reason"], record["status"]) == ("REFUSE", "number-suspended", "REFUSED")
        assert (record["heard_by"], record["anomalies"]) == ([], [])


async def test_who_is_followed_hears_the_sound_then_the_question(pbx: Service, references: dict[str, Any]) -> None:
    async with recorded(pbx) as records, lab(pbx.asterisk, presses("1")) as phones:
        placed = await phones.place(call(FOLLOW_ME))

        def connected() -> bool:
            phones.pair(placed)
            return bool(placed.called and placed.called.answered_ns)

        await until(connected, "the answer of the followed phone")
        await phones.talk_and_hang_up(placed, PRESSED_S + TALK_S)
        await phones.nothing_is_left()
    assert_sounded_then_asked(placed, references)
    assert_talked_after_the_key(placed)
    (record,) = records
    assert_sounded(record)


async def test_confirmation_comes_after_the_sound_and_decides(pbx: Service, references: dict[str, Any]) -> None:
    """The evidence is of the sound: it is the same whether the member confirmed or not."""
    async with recorded(pbx) as records, lab(pbx.asterisk) as phones:
        confirmed, declined = (phones.dial(call(CONFIRMED), behaviour=presses(key)) for key in "12")
        assert await confirmed.caller.final() == 200
        assert await declined.caller.final() != 200
        phones.pair(confirmed)
        phones.pair(declined)
        await phones.talk_and_hang_up(confirmed, TALK_S)
        await phones.nothing_is_left()
    for placed in (confirmed, declined):
        assert_sounded_then_asked(placed, references)
    assert_talked_after_the_key(confirmed)
    assert voices_ms(declined) == (None, None)
    assert len(records) == 2
    for record in records:
        assert_sounded(record)
