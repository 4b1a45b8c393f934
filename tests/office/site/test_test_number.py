"""The test number on a real Asterisk. A caller hears each sound, and guesses."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from idtone.office.site.site_sounds import dialplan_sounds
from lab import voices
from lab.asterisk import MODULES, Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.key_presses import KeyMethod, press
from lab.lab import wait_until
from lab.outgoing_call import OutgoingCall
from lab.phone import Phone
from lab.rtp import FRAME, Media
from lab.sound_detection import hear_whole

LINES = """
[from-lab]
exten = idtone-test,1,Goto(idtone-test,s,1)
"""
KEYS = {"1": "sample", "2": "notice", "3": "ring-back", "4": "busy", "5": "call-waiting", "6": "second-dial"}
WITHIN_S = 90
RECORDINGS = dialplan_sounds()


def samples(name: str) -> Any:
    import numpy as np

    return np.frombuffer(RECORDINGS[f"{name}.wav"][44:], np.int16)


def times(call: OutgoingCall, name: str) -> int:
    return hear_whole(call.packets, 0, reference=samples(name)).times


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    scratch = tmp_path_factory.mktemp("test-number")
    sounds: Path = scratch / "idtone-test"
    dialplan = files("idtone.office.site").joinpath("static", "test-number.conf").read_text("utf-8")
    assert "SOUNDS=idtone-test" in dialplan
    loaded = "".join(f"load = {name}.so\n" for name in (*MODULES, "app_read"))
    texts = {
        "modules.conf": f"[modules]\nautoload = no\n{loaded}",
        "extensions.conf": dialplan.replace("SOUNDS=idtone-test", f"SOUNDS={sounds}") + LINES,
    }
    asterisk = Asterisk(installation, scratch, texts)
    sounds.mkdir()
    for name, octets in RECORDINGS.items():
        (sounds / name).write_bytes(octets)
    with asterisk:
        yield asterisk


@asynccontextmanager
async def calling(pbx: Asterisk) -> AsyncIterator[OutgoingCall]:
    """Context with a caller who is connected and has heard the menu's signal."""
    with Media(pbx.site.host, pbx.site.loss, pbx.has_srtp) as media:
        async with Phone(media, voices.CALLER) as phone:
            call = phone.dial("idtone-test", pbx.sip_address, caller_id="0312345600")
            assert await call.final() == 200
            await wait_until(lambda: times(call, "menu"), "the menu", WITHIN_S)
            yield call
            await call.hangup()


async def test_a_caller_hears_the_sound_of_the_key(pbx):
    async with calling(pbx) as call:
        await press(call, "1", KeyMethod.EVENTS)
        await wait_until(
            lambda: hear_whole(call.packets, 0, reference=samples("sample")).complete, "the sample", WITHIN_S
        )
    assert pbx.complaints() == []


async def heard_since(call: OutgoingCall, begin: int, *names: str) -> str:
    """The name of the first sound that the caller hears after `begin` packets."""
    found: list[str] = []

    def heard() -> bool:
        found[:] = [name for name in names if hear_whole(call.packets[begin:], 0, reference=samples(name)).times]
        return bool(found)

    await wait_until(heard, " or ".join(names), WITHIN_S)
    return found[0]


@pytest.mark.nightly
async def test_a_caller_hears_each_sound_and_guesses_until_one_guess_is_right_and_one_is_wrong(pbx):
    async with calling(pbx) as call:
        for key, name in KEYS.items():
            begin = len(call.packets)
            await press(call, key, KeyMethod.EVENTS)
            assert await heard_since(call, begin, name) == name
            await heard_since(call, begin, "menu")
    said = set()
    while said != {"right", "wrong"}:
        async with calling(pbx) as call:
            begin = len(call.packets)
            await press(call, "9", KeyMethod.EVENTS)
            played = await heard_since(call, begin, *KEYS.values())
            whole = begin + len(samples(played)) // FRAME
            await wait_until(partial(packets_reach, call, whole), "the end of the sound", WITHIN_S)
            await press(call, "1", KeyMethod.EVENTS)
            answer = "right" if played == "sample" else "wrong"
            said.add(await heard_since(call, begin, answer))
    assert pbx.complaints() == []


def packets_reach(call: OutgoingCall, count: int) -> bool:
    return len(call.packets) > count
