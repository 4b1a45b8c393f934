"""The acts of each party at each step of a call on a real Asterisk."""

import asyncio
from dataclasses import dataclass

from lab import voices
from lab.endings import Event, Step
from lab.incoming_call import IncomingCall
from lab.lab import Forwarding, Lab, PlacedCall, wait_until
from lab.phone import Behaviour

SOUND_S = 0.44
UNTIL = {Step.ANSWERED: 0.0, Step.SOUNDING: 0.15, Step.CONNECTING: SOUND_S + 0.003}
"""Seconds from the answer to a later step, for phones that act by the clock."""
AFTER_ANSWER = (*UNTIL, Step.CONNECTED)
SOUNDING_PACKETS = 4
"""Number of packets after the answer, the last of which belongs to the sound.

Asterisk may send some packets before it notices the answer.
"""
CONNECTED_PACKETS = 22 + 15
"""Number of packets after which the parties are connected.

The sound has 22 packets. All others carry 20 ms of the caller's voice.
"""
REFUSALS = {Event.BUSY: (486, 17), Event.DECLINED: (603, 21), Event.CONGESTION: (503, 34)}


@dataclass(frozen=True)
class Case:
    """One cell of the table of endings, for one interface and one setting of the parties that hear the sound."""

    step: Step
    event: Event
    interface: str
    direction: str = "incoming"

    def __str__(self) -> str:
        return f"{self.event} while {self.step}, {self.interface}, {self.direction}"


async def bring_to_step(call: IncomingCall, step: Step) -> None:
    """Bring the call to a step, as far as the called phone can."""
    if step is Step.RINGING:
        call.ring()
        await asyncio.sleep(0.1)
    elif step is Step.EARLY_MEDIA:
        call.progress(voices.ANNOUNCEMENT)
        await asyncio.sleep(0.15)
    elif step in AFTER_ANSWER:
        call.ring()
        await asyncio.sleep(0.02)
        call.answer()
        await wait_after_answer(call, step)


async def wait_after_answer(call: IncomingCall, step: Step) -> None:
    """Wait until an answered call is at a later step."""
    if step is Step.SOUNDING:
        await wait_for_sound(call)
    elif step is Step.CONNECTED:
        await wait_for_caller_voice(call)
    else:
        await asyncio.sleep(UNTIL[step])


async def wait_for_sound(call: IncomingCall) -> None:
    """Wait until the called party hears the sound."""

    answered_ns = call.answered_ns
    assert answered_ns

    def sounding() -> bool:
        return sum(packet.arrival_ns > answered_ns for packet in call.packets) >= SOUNDING_PACKETS

    await wait_until(sounding, "the sound")


async def wait_for_caller_voice(call: IncomingCall) -> None:
    """Wait until the called party has heard the caller for a while, regardless of Asterisk's delay."""
    await wait_until(lambda: len(call.packets) >= CONNECTED_PACKETS, "the caller's voice")


def called_phone(case: Case) -> Behaviour:
    """Behaviour of the called phone: its acts up to the step, and the event if the called party causes it."""

    async def behave(call: IncomingCall) -> None:
        await bring_to_step(call, case.step)
        if case.event is Event.CALLED_HANGS_UP:
            await call.hangup()
        elif case.event in REFUSALS:
            call.refuse(*REFUSALS[case.event])

    return behave


async def play_case(phones: Lab, case: Case) -> PlacedCall:
    """Make the event happen, and wait until the call is over at both phones."""
    unreachable = case.event is Event.UNREACHABLE
    forwarding = Forwarding(
        interface=case.interface,
        direction=case.direction,
        timeout_s="1" if case.event is Event.NO_ANSWER else "",
        destination="PJSIP/nobody" if unreachable else "",
    )
    placed = phones.dial(forwarding, behaviour=called_phone(case))
    if case.event is Event.CALLER_HANGS_UP:
        await wait_for_step(phones, placed, case.step)
        await placed.caller.cancel()
    await placed.caller.ended()
    phones.pair(placed)
    if placed.called and (placed.called.provisional or placed.called.final_status):
        await placed.called.ended()
    return placed


async def wait_for_step(phones: Lab, placed: PlacedCall, step: Step) -> None:
    """Wait until the call is at a step, as far as the phones can tell."""
    called = await phones.reached(placed)
    if step in AFTER_ANSWER:
        await wait_until(lambda: called.answered_ns, "the answer")
        await wait_after_answer(called, step)
    else:
        await asyncio.sleep(0.15)
