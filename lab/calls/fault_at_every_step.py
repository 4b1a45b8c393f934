"""A fault that affects calls at all steps at once, over both interfaces, and the end of each call."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from lab import voices
from lab.asterisk import Ending as Told
from lab.endings import Event, Evidence, Hears, Step, endings_table
from lab.incoming_call import IncomingCall
from lab.lab import Forwarding, Lab, PlacedCall, lab, wait_until
from lab.phone import Behaviour
from lab.service import Service
from lab.sound_detection import identify, in_order

from .assert_proved import NOTIFY
from .ending_cases import UNTIL
from .walk_paths import listen

Blow = Callable[[Service], AbstractAsyncContextManager[object]]

LEAD_S = 0.6
"""Seconds from the moment when all calls are at their steps until the fault. This is longer than a sound."""
MOST_UNDER_WAY = 8
"""Maximum number of calls that may wait for a verdict, less than `policy.waiting`."""
HELD_S = 0.06
"""Seconds before the fault during which undecided calls are held."""
AFTER_S = 0.3
"""Seconds from the fault to the answers that waited for it."""
HEARD = {Hears.SOUND: "sample", Hears.NOTICE: "notice", Hears.NOTHING: None}


@dataclass(frozen=True)
class CallPosition:
    """The step, interface and direction of a call when the fault happens."""

    step: Step
    interface: str
    direction: str

    def __str__(self) -> str:
        return f"{self.step}, {self.interface}, {self.direction}"


EVERYWHERE = tuple(
    CallPosition(step, interface, direction) for step in Step for interface in ("ari", "agi") for direction in NOTIFY
)


@dataclass(frozen=True)
class CallFate:
    """The result of a call after the fault, from both phones and from the hook."""

    placed: PlacedCall
    told: Told
    called_heard: str | None
    """Sound with the longest part in the recording, even if it arrived in pieces."""
    whole: dict[str, frozenset[str]]
    """Party → the sounds that it heard completely, from the first frame to the last."""


class FaultMoment:
    """The time of the fault, from which the called phones plan their acts."""

    def __init__(self) -> None:
        self.at_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()

    def behaviour(self, step: Step) -> Behaviour:
        """Behaviour of the called phone that brings the call to `step` before the fault."""

        async def behave(call: IncomingCall) -> None:
            if step in (Step.ANSWERED, Step.SOUNDING, Step.CONNECTING):
                call.ring()
                at_s = await asyncio.shield(self.at_s)
                await asyncio.sleep(at_s - UNTIL[step] - asyncio.get_running_loop().time())
            elif step in (Step.DIALLING, Step.RINGING, Step.EARLY_MEDIA):
                if step is Step.RINGING:
                    call.ring()
                elif step is Step.EARLY_MEDIA:
                    call.progress(voices.ANNOUNCEMENT)
                await self.over.wait()
                await asyncio.sleep(AFTER_S)
            call.answer()

        return behave


async def inject_fault(
    phones: Lab,
    blow: AbstractAsyncContextManager[object],
    references: dict[str, Any],
    hold: Callable[[], object] | None = None,
    where: Iterable[CallPosition] = EVERYWHERE,
) -> dict[CallPosition, CallFate]:
    """Bring calls to their steps, cause the fault, and let the surviving calls talk a little.

    `blow` is a context: entering it causes the fault, and it is left after all calls have ended. `hold` stops the
    service from deciding shortly before the fault.
    """
    placed, moment = await bring_to_steps(phones, where, hold)
    async with blow:
        moment.over.set()
        if not hold:
            placed |= dial_all(phones, moment, (at for at in where if at.step is Step.DECIDING))
        await asyncio.gather(*(finish_call(phones, each) for each in placed.values()))
        await phones.nothing_is_left()
    return {at: await call_fate(phones, each, references) for at, each in placed.items()}


async def call_fate(phones: Lab, placed: PlacedCall, references: dict[str, Any]) -> CallFate:
    return CallFate(
        placed,
        await phones.ending(placed),
        identify(in_order(placed.called.packets), references) if placed.called else None,
        {party: listen(placed, party, references).whole for party in ("called", "caller")},
    )


def dial_all(phones: Lab, moment: FaultMoment, where: Iterable[CallPosition]) -> dict[CallPosition, PlacedCall]:
    return {
        at: phones.dial(Forwarding(interface=at.interface, direction=at.direction), behaviour=moment.behaviour(at.step))
        for at in where
    }


async def bring_to_steps(
    phones: Lab, where: Iterable[CallPosition], hold: Callable[[], object] | None
) -> tuple[dict[CallPosition, PlacedCall], FaultMoment]:
    """Bring calls to their steps, and return them at the time of the fault.

    Calls before their decision are included only if `hold` is given.
    """
    loop = asyncio.get_running_loop()
    moment = FaultMoment()
    placed: dict[CallPosition, PlacedCall] = {}

    def under_way() -> list[CallPosition]:
        """Calls that have not reached their phones yet."""
        for each in placed.values():
            phones.pair(each)
        over = {at: each.caller.final_status for at, each in placed.items() if not each.called}
        assert not any(over.values()), f"calls ended before they reached their phones: {over}"
        return list(over)

    for at in where:
        if at.step is not Step.DECIDING:
            placed |= dial_all(phones, moment, [at])
            # The hook refuses calls if too many wait for a verdict, because the service or the machine is busy.
            await wait_until(lambda: len(under_way()) < MOST_UNDER_WAY, "calls to reach their phones")
    await wait_until(lambda: not under_way(), "every call to reach its phone")
    await wait_until(
        lambda: all(placed[at].caller.answered_ns for at in placed if at.step is Step.CONNECTED), "the talks"
    )
    at_s = loop.time() + LEAD_S
    moment.at_s.set_result(at_s)
    await asyncio.sleep(LEAD_S - HELD_S)
    if hold:
        hold()
        placed |= dial_all(phones, moment, (at for at in where if at.step is Step.DECIDING))
    await asyncio.sleep(at_s - loop.time())
    return placed, moment


async def finish_call(phones: Lab, placed: PlacedCall) -> None:
    """Talk a little and hang up, if the call still exists."""
    await placed.caller.final()
    phones.pair(placed)
    if placed.caller.final_status == 200:
        await phones.talk_and_hang_up(placed)
    await placed.caller.ended()


def differences(event: Event, fates: dict[CallPosition, CallFate], records: dict[str, dict[str, Any]]) -> list[str]:
    """Differences between the calls and the table of endings, and violations of the rules for every call."""
    table = endings_table()
    found = []
    for at, fate in fates.items():
        row = table[at.step, event, at.interface, NOTIFY[at.direction]]
        told, caller, record = fate.told, fate.placed.caller, records.get(fate.told.call_id)
        wrong = {
            f"IDTONE_STATUS {told.status}": told.status not in row.status,
            f"IDTONE_CAUSE {told.cause}": int(told.cause) not in row.cause,
            f"the caller's phone got {caller.final_status}": caller.final_status not in row.sip,
            f"the called party heard {fate.called_heard}": fate.called_heard not in {HEARD[one] for one in row.hears},
            f"the evidence is {evidence_kind(record)}": evidence_kind(record) not in row.record,
            "connected without a sound": caller.final_status == 200 and not fate.called_heard,
            f"{told.status}, and the caller's phone got {caller.final_status}": (told.status == "CONNECTED")
            != (caller.final_status == 200),
        }
        if record:
            wrong |= {
                f"the evidence says {delivery} of the {party} party": record["profile"] not in fate.whole[party]
                for party, delivery in record["delivery"].items()
                if delivery != "not-known"
            }
            wrong[f"the evidence says {record['status']}, and the hook {told.status}"] = record["status"] not in (
                None,
                told.status,
            )
        found += [f"{at}: {what}; {record and list(record['times'])}" for what, is_so in wrong.items() if is_so]
    return found


def evidence_kind(record: dict[str, Any] | None) -> Evidence | None:
    """The kind of evidence in a record, or None if the record stays open.

    A record stays open if the end of its call is never reported.
    """
    if record is None:
        return Evidence.NONE
    if record["fallback"]:
        return Evidence.FALLBACK if record["complete"] else None
    if record["status"]:
        return Evidence.COMPLETE
    return Evidence.INTERRUPTED if "interrupted" in record["times"] else None


async def records_after_fault(
    service: Service, event: Event, blow: Blow, references, *, held: bool = False
) -> list[dict[str, Any]]:
    """Cause a fault and return the records of the calls.

    Raises AssertionError if a call differs from the table of endings.
    """

    def hold() -> None:
        assert service.process
        service.process.send_signal(signal.SIGSTOP)

    async with lab(service.asterisk) as phones:
        fates = await inject_fault(phones, blow(service), references, hold if held else None)
    with contextlib.suppress(AssertionError, RuntimeError):  # such a failure is then among the differences
        await asyncio.to_thread(service.entered)
        await wait_until(lambda: all(map(evidence_kind, service.records().values())), "every record to be closed")
    records = service.records()
    found = differences(event, fates, records)
    assert not found, "\n".join(found)
    return [records[fate.told.call_id] for fate in fates.values() if fate.told.call_id in records]
