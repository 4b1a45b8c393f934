"""Effects of the phones' media on the sound: codecs, video, DTMF, hold."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, product

import pytest

from idtone.tones.profile_library import load_library
from idtone.tones.verification.report import Report, ToneVerdict
from idtone.tones.verification.verifier import Verifier
from lab import key_presses, voices
from lab.asterisk import Asterisk
from lab.call import Call
from lab.calls.assert_heard import FRAME_MS, heard_by
from lab.calls.assert_proved import (
    AFTER_S,
    POLICY,
    SOUND_S,
    WAYS,
    CallResult,
    Way,
    assert_connected,
    assert_proved,
    call_result,
    complete_call,
    run_concurrently,
    wait_for_answer,
)
from lab.codecs import FRAME, G722, OPUS
from lab.g711 import PCMA, PCMU
from lab.key_presses import press
from lab.lab import ANSWER, TALK_S, Lab, PlacedCall, lab, wait_until
from lab.nightly_tests import rest_at_night, rest_in_breadth
from lab.phone import Phone
from lab.rtp_recording import reassemble
from lab.service import Service
from lab.sound_detection import hear, hear_last, hear_whole

FIRST = f"{POLICY}, caller_hears: answered"
"""Settings that answer the caller first, who can then press keys and hold the call during the sound."""
LATE_FRAMES = 5
CODECS = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722, "Opus": OPUS}
LEGS = [
    ("PCMA", "PCMA"),
    ("PCMU", "PCMA"),
    ("G722", "PCMU"),
    ("PCMU", "G722"),
    ("Opus", "PCMU"),
    ("PCMA", "Opus"),
    ("Opus", "G722"),
    ("G722", "Opus"),
]


@dataclass(frozen=True)
class Doing:
    """A call, the party that acts, and its act."""

    way: Way
    who: str
    what: str


def doings(*what: str) -> list[Doing]:
    return [Doing(way, who, each) for way in WAYS for who in way.parties for each in what]


@dataclass(frozen=True)
class Legs:
    """Codecs of the two legs of a call."""

    way: Way
    caller: str
    called: str


def report_on(call: Call, answered_ns: int) -> Report:
    """The verifier's report on the audio that a phone received from the answer on.

    Late packets shift the clock of a recording by some milliseconds, and a cut by time could be inside the sound. So
    packets from before the answer are left out by their arrival.
    """
    recording = reassemble([packet for packet in call.packets if packet.arrival_ns >= answered_ns])
    return Verifier(load_library()["sample"]).verify(recording.samples / 32768, 8000)


@asynccontextmanager
async def speaking(phones: Lab) -> AsyncIterator[dict[str, Phone]]:
    """Context with a called phone for each codec."""
    async with AsyncExitStack() as life:
        yield {
            name: await life.enter_async_context(Phone(phones.caller.media, voices.CALLED, ANSWER, codecs=(codec,)))
            for name, codec in CODECS.items()
        }


@pytest.mark.alone
@rest_at_night("interfaces", ["in turn", "each"])
async def test_codecs(asterisk, serving, references, interfaces):
    """The legs have the same codec or different codecs. Both parties hear the sound unchanged."""
    service = serving(policy=POLICY)
    legs = LEGS if asterisk.has_opus else [each for each in LEGS if "Opus" not in each]
    ways = [way for way in WAYS if len(way.parties) == 2]
    pairs = product(ways, legs) if interfaces == "each" else zip(cycle(ways), legs)
    cases = [Legs(way, *each) for way, each in pairs]
    async with lab(asterisk) as phones, speaking(phones) as members:

        async def one(case: Legs) -> tuple[PlacedCall, CallResult]:
            member = members[case.called]
            host, port = member.address
            phones.caller.codecs = (CODECS[case.caller],)
            destination = f"PJSIP/wide/sip:x@{host}:{port};lab={{name}}"
            placed = phones.dial(case.way.forwarding(endpoint="wide", destination=destination))
            await placed.caller.final()
            phones.pair(placed, member)
            await phones.talk_and_hang_up(placed, 0.6)
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    for case, (placed, said) in calls:
        assert placed.called
        assert placed.called.answered_ns
        for call, codec in ((placed.caller, case.caller), (placed.called, case.called)):
            assert {packet.payload_type for packet in call.packets} == {CODECS[codec]}, case
            party = "caller" if call is placed.caller else "called"
            heard = heard_by(placed, party, references["sample"])
            assert heard.times == 1, f"{case}: {heard}"
            # Opus looks ahead 6.5 ms, so the first and the last frame of the sound are incomplete.
            assert heard.correlation >= (0.93 if codec == "Opus" else 0.99), f"{case}: {heard}"
            assert heard.level_dbm0 == pytest.approx(-16, abs=0.3), case
            report = report_on(call, placed.called.answered_ns)
            assert report.verdict is ToneVerdict.CONFORMS, f"{case}: {report.reason}"
        assert_connected(case.way, said)


@rest_in_breadth("sighted", ["both", "caller"])
async def test_a_video_is_offered(asterisk, serving, references, sighted):
    """The sound is heard. If both parties have video, the video begins after the sound."""
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones:
        phones.caller.video, phones.called.video = True, sighted == "both"
        calls = await run_concurrently(
            WAYS, lambda way: complete_call(phones, service, way.forwarding(endpoint="video"))
        )
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        assert_proved(way, placed, said, references)
        assert placed.called
        assert placed.called.answered_ns
        assert placed.caller.video
        seen = [call.video.packets for call in (placed.caller, placed.called) if call.video]
        assert all(bool(packets) == (sighted == "both") for packets in seen), way
        # Media that arrive before Asterisk has read the answer are early media, which Dial() lets through.
        after_ms = [(each.arrival_ns - placed.called.answered_ns) / 1e6 for packets in seen for each in packets]
        first_ms = min((each for each in after_ms if each > FRAME_MS), default=SOUND_S * 1e3)
        assert first_ms >= SOUND_S * 1e3 - FRAME_MS, f"{way}: {first_ms}"


async def test_keys_in_the_voice_do_not_interrupt_the_sound(asterisk, serving, references):
    for case, placed, said in await pressed(asterisk, serving(policy=FIRST), key_presses.KeyMethod.INBAND):
        assert_proved(case.way, placed, said, references)


async def test_a_key_of_the_called_party_stops_only_what_dial_plays(asterisk, serving, references):
    """Dial() stops the sound at a key of the called party (RFC 4733), but not at a key of the caller.

    The sound is then played again.
    """
    for case, placed, said in await pressed(asterisk, serving(policy=FIRST), key_presses.KeyMethod.EVENTS):
        if case.who == "caller" or case.way.parties == ["called"]:
            assert_proved(case.way, placed, said, references)
            continue
        assert placed.called
        assert placed.called.answered_ns
        heard = hear_last(
            placed.called.packets, placed.called.answered_ns, reference=references["sample"], voice=voices.CALLER
        )
        assert heard.complete, f"{case}: {heard}"
        assert heard.end_ms is not None
        assert heard.voice_ms is not None
        assert heard.voice_ms >= heard.end_ms - FRAME_MS, f"{case}: {heard}"
        assert_connected(case.way, said)
        assert "sound-failed" in said.record["times"], case
        assert said.record["known_by"]["called"] == "packets", case


@pytest.mark.alone
async def test_keys_that_are_told_by_info_let_the_sound_pause(asterisk, serving, references):
    """Asterisk pauses a sound for as long as it regards the key as pressed.

    It then continues in the middle of the sound, or some frames later if the key arrived late.
    """
    half = len(references["sample"]) // 2
    rests = [references["sample"][half + late * FRAME :] for late in range(LATE_FRAMES)]
    for case, placed, said in await pressed(asterisk, serving(policy=FIRST), key_presses.KeyMethod.INFO):
        assert_connected(case.way, said)
        assert placed.called
        assert placed.called.answered_ns
        for call in (placed.caller, placed.called)[2 - len(case.way.parties) :]:
            heard = [hear_whole(call.packets, placed.called.answered_ns, reference=rest) for rest in rests]
            assert max(each.correlation for each in heard) >= 0.99, f"{case}: {heard}"


async def pressed(
    asterisk: Asterisk, service: Service, how: key_presses.KeyMethod
) -> list[tuple[Doing, PlacedCall, CallResult]]:
    """Calls in which a party pressed a key during the sound."""
    async with lab(asterisk) as phones:

        async def one(case: Doing) -> tuple[PlacedCall, CallResult]:
            placed = phones.dial(case.way.forwarding())
            await press(await sounding(phones, placed, case), "5", how)
            await placed.caller.final()
            called = placed.called
            assert called
            frames = len(called.packets) + round(AFTER_S * 1000 / FRAME_MS)
            await wait_until(lambda: len(called.packets) >= frames, "the parties to talk")
            await phones.talk_and_hang_up(placed)
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(doings(how.value), one)
        await phones.nothing_is_left()
    return [(case, *call) for case, call in calls]


async def sounding(phones: Lab, placed: PlacedCall, case: Doing) -> Call:
    """Wait until the party that acts hears the sound, and return its call."""
    await wait_for_answer(phones, placed, 0.1)
    await wait_until(lambda: case.who == "called" or placed.caller.answered_ns, "the caller to be answered")
    assert placed.called
    return placed.caller if case.who == "caller" else placed.called


async def reinvited(
    asterisk: Asterisk, service: Service, cases: Sequence[Doing], for_s: float
) -> list[tuple[Doing, tuple[PlacedCall, CallResult]]]:
    """Calls in which a phone changes the media during the sound, and restores them `for_s` after the connection."""
    async with lab(asterisk) as phones:

        async def one(case: Doing) -> tuple[PlacedCall, CallResult]:
            placed = phones.dial(case.way.forwarding())
            call = await sounding(phones, placed, case)
            assert (await call.reinvite(case.what)).status == 200
            await placed.caller.final()
            await asyncio.sleep(for_s)
            assert (await call.reinvite("sendrecv")).status == 200
            await phones.talk_and_hang_up(placed, 0.4)
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    return calls


async def test_a_reinvite_during_the_sound_does_not_interrupt_it(asterisk, serving, references):
    """One re-INVITE changes nothing. In the other case, a phone stops sending media."""
    calls = await reinvited(asterisk, serving(policy=FIRST), doings("sendrecv", "recvonly"), SOUND_S)
    for case, (placed, said) in calls:
        assert_proved(case.way, placed, said, references)


@pytest.mark.alone
@rest_at_night("mode", ["inactive", "sendonly"])
async def test_who_holds_the_call_during_the_sound_has_not_heard_it(asterisk, serving, references, mode):
    """Asterisk sends nothing to a phone that holds the call.

    The evidence does not claim that the called party heard the sound. For the caller, the evidence has only the time
    (docs/explanation/evidence.md). The call continues.
    """
    calls = await reinvited(asterisk, serving(policy=FIRST), doings(mode), 3 * SOUND_S)
    for case, (placed, said) in calls:
        assert placed.called
        assert placed.called.answered_ns
        others = [party for party in case.way.parties if party != case.who]
        for party, call, voice in (
            ("called", placed.called, voices.CALLER),
            ("caller", placed.caller, voices.CALLED),
        ):
            heard = hear(call.packets, placed.called.answered_ns, reference=references["sample"], voice=voice)
            assert heard.times == (party in others), f"{case}, {party}: {heard}"
            assert heard.voice_ms is not None, f"{case}, {party}: never heard the other"
        record = said.record
        claimed = others if case.who == "called" else case.way.parties
        assert (record["status"], record["complete"], [*record["known_by"]]) == ("CONNECTED", True, claimed), case
        if case.who == "called":
            assert record["anomalies"] == ["connected without evidence of the sound"], case
        else:
            assert record["known_by"]["caller"] == "time", case


@pytest.mark.nightly
async def test_hold_and_resume_in_the_conversation(asterisk, serving, references):
    service = serving(policy=POLICY)
    cases = [Doing(way, who, "inactive") for way in WAYS for who in ("called", "caller")]
    async with lab(asterisk) as phones:

        async def one(case: Doing) -> tuple[PlacedCall, CallResult]:
            placed = await phones.place(case.way.forwarding())
            await asyncio.sleep(TALK_S)
            call = placed.caller if case.who == "caller" else placed.called
            assert call
            assert (await call.reinvite("inactive")).status == 200
            await asyncio.sleep(0.2)
            assert (await call.reinvite("sendrecv")).status == 200
            await phones.talk_and_hang_up(placed)
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    for case, (placed, said) in calls:
        assert_proved(case.way, placed, said, references)
