"""Makes many real calls along paths at a time, and injects faults into the service and Asterisk meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from lab import key_presses, voices
from lab.asterisk import IDTONE, Asterisk
from lab.asterisk import Ending as Told
from lab.call import Call
from lab.codecs import CODECS
from lab.endings import Event, Step
from lab.incoming_call import IncomingCall
from lab.lab import Forwarding, Lab, PlacedCall, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.rtp import Packet
from lab.sound_detection import INTACT, DetectedSound, hear, hear_each, in_order
from lab.supervisor import Supervisor

from .assert_heard import FRAME_MS, FRAME_NS
from .call_paths import GOES_TO, HOLDS, STANDINGS, CallPath, InjectedFault, Move, PathStep, Round
from .cuttable_connection import CuttableConnection, CuttableService
from .ending_cases import REFUSALS
from .judge_call import ASSOCIATIONS, NOTICE, SILENCE, HeardSounds, PlayedPath, false_claims, judge

HANGS_S: Final = 10.0
"""Maximum time in seconds of a wait. A longer one is reported as hanging."""
RINGS_S: Final = "1"
"""Seconds that an unanswered phone rings."""
STILL_S: Final = 0.4
"""Seconds that a service is stopped, less than the watchdog's second."""
SETTLES_S: Final = 0.5
"""Seconds that a ready service needs for the calls that it takes over."""
WRITES_S: Final = 0.3
"""Seconds that the service may need to write the end of a call."""
KEPT_S: Final = 5.0
"""Seconds after the last call within which remains of a call are allowed."""
ENTERED_S: Final = 30.0
"""Seconds that the service may need to enter what the hook did alone. It may be killed repeatedly."""
SECOND_S: Final = 2.0
"""Seconds in which a second instance must notice the first one."""
UNSURE_S: Final = 0.06
"""Distance in seconds from a change of steps within which the step is uncertain."""


class WalkedService(CuttableService, Supervisor):
    """A service that runs according to its unit file, and reaches Asterisk through a connection that can be cut."""


# -- one call -----------------------------------------------------------------------------------------------------


@dataclass
class Walker:
    """Drives both phones of one call along its path."""

    phones: Lab
    path: CallPath
    placed: PlacedCall = field(init=False)
    begun_s: float = 0.0
    begun_ns: int = 0
    over_s: float = 0.0
    reached: list[PathStep] = field(default_factory=list)
    """Acts that have begun."""
    connected_before_the_end: bool = False
    """True if the caller's phone had its answer when the last act began."""
    after_the_answer_s: float | None = None
    """Seconds from the called phone's answer to the last act."""
    hung: str = ""
    """Description of an event that did not come in time."""

    async def walk(self) -> None:
        await asyncio.sleep(self.path.begins_s)
        self.begun_s, self.begun_ns = time.monotonic(), time.time_ns()
        try:
            await self._walk()
            await self.placed.caller.ended(HANGS_S)
            called = self.placed.called
            # A phone that has not responded cannot be told that the caller gave up (RFC 3261, 9.1).
            if called and (called.provisional or called.final_status):
                await called.ended(HANGS_S)
        except TimeoutError:
            self.hung = f"after {', '.join(map(str, self.reached)) or 'the INVITE'} nothing came in {HANGS_S} s"
            await self.placed.caller.leave()
        self.over_s = time.monotonic()

    async def _walk(self) -> None:
        arrived = asyncio.Event()

        async def take(call: IncomingCall) -> None:
            self.placed.called = call
            arrived.set()

        events = [leg.what for leg in self.path.legs]
        forwarding = Forwarding(
            STANDINGS[self.path.standing],
            self.path.direction,
            interface=self.path.interface,
            timeout_s=RINGS_S if Event.NO_ANSWER in events else "",
            destination="PJSIP/nobody" if Event.UNREACHABLE in events else "",
        )
        self.placed = self.phones.dial(forwarding, behaviour=take)
        await _first(arrived.wait(), self.placed.caller.final(HANGS_S))
        for leg in self.path.legs:
            if self.placed.called is None:
                return
            await asyncio.sleep(leg.pause_ms / 1000)
            # A phone that is not answered may stop ringing before the other events of the path have happened.
            if self._is_over() and self.path.legs[-1].what is not Event.NO_ANSWER:
                return
            self._note(leg)
            await DOES[leg.what](self.placed)

    def _is_over(self) -> bool:
        assert self.placed.called
        return self.placed.caller.ended_ns is not None or self.placed.called.ended_ns is not None

    def _note(self, leg: PathStep) -> None:
        self.reached.append(leg)
        caller, called = self.placed.caller, self.placed.called
        self.connected_before_the_end = caller.answered_ns is not None
        if called and called.answered_ns:
            self.after_the_answer_s = (time.time_ns() - called.answered_ns) / 1e9


async def _first(*awaited: Awaitable[object]) -> None:
    """Wait until one of these is done, and raise its exception if it failed."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


def _called(placed: PlacedCall) -> IncomingCall:
    assert placed.called, "the called phone has no call"
    return placed.called


async def _reinvite(call: Call, direction: Any) -> None:
    """Send a re-INVITE, and accept any response.

    A 491 is right if both sides sent one at once, and a 481 after the end of the call.
    """
    if call.dialog and call.answered_ns and call.ended_ns is None:
        await call.reinvite(direction)


async def _press(call: Call) -> None:
    if call.stream.speaking:
        await key_presses.press(call, "5", key_presses.KeyMethod.EVENTS)


async def _do(work: object) -> None:
    """Do nothing, as the act has been done when the argument was evaluated. This makes the act awaitable."""


def _refuse(event: Event) -> Callable[[PlacedCall], Awaitable[None]]:
    return lambda placed: _do(_called(placed).refuse(*REFUSALS[event]))


DOES: Final[Mapping[Move | Event, Callable[[PlacedCall], Awaitable[Any]]]] = {
    Move.RING: lambda placed: _do(_called(placed).ring()),
    Move.PROGRESS: lambda placed: _do(_called(placed).progress(voices.ANNOUNCEMENT)),
    Move.ANSWER: lambda placed: _do(_called(placed).answer()),
    Move.WAIT: lambda placed: placed.caller.final(HANGS_S),
    Move.CALLER_KEY: lambda placed: _press(placed.caller),
    Move.CALLED_KEY: lambda placed: _press(_called(placed)),
    Move.CALLER_HOLDS: lambda placed: _reinvite(placed.caller, "sendonly"),
    Move.CALLER_RESUMES: lambda placed: _reinvite(placed.caller, "sendrecv"),
    Move.CALLED_HOLDS: lambda placed: _reinvite(_called(placed), "sendonly"),
    Move.CALLED_RESUMES: lambda placed: _reinvite(_called(placed), "sendrecv"),
    Event.CALLER_HANGS_UP: lambda placed: placed.caller.cancel(),
    Event.CALLED_HANGS_UP: lambda placed: _called(placed).hangup(),
    Event.NO_ANSWER: lambda placed: placed.caller.final(HANGS_S),
    **{event: _refuse(event) for event in REFUSALS},
}


# -- what befalls the others --------------------------------------------------------------------------------------

_UNTIL_READY: Final = frozenset(
    {
        InjectedFault.KILLED,
        InjectedFault.STOPPED,
        InjectedFault.UPGRADED,
        InjectedFault.FROZEN,
        InjectedFault.CUT,
        InjectedFault.DEAD,
    }
)
"""Faults after which the service becomes ready again."""


@dataclass
class FaultInjector:
    """Injects faults into the service and Asterisk, and records when the service was unreliable."""

    service: WalkedService
    detour: CuttableConnection
    struck: list[tuple[float, float, InjectedFault]] = field(default_factory=list)
    """Beginning, end and kind of each fault. Times are from `time.monotonic()`."""
    ready_s: list[float] = field(default_factory=list)
    """Times at which the service became ready for ARI."""

    async def strike(self, mishaps: Sequence[tuple[float, InjectedFault]]) -> None:
        """Inject each fault at its time, in seconds from now, and wait until the service is ready again."""
        began_s = time.monotonic()
        for at_s, mishap in mishaps:
            await asyncio.sleep(began_s + at_s - time.monotonic())
            struck_s = time.monotonic()
            with contextlib.suppress(ProcessLookupError):  # between two lives there is no process to strike
                await getattr(self, f"_{mishap.name.lower()}")()
            self.struck.append((struck_s, time.monotonic(), mishap))
        last_s = max((struck_s for struck_s, _, mishap in self.struck if mishap in _UNTIL_READY), default=0.0)
        if last_s:
            await wait_until(lambda: self.ready_s and self.ready_s[-1] > last_s, "the service to be back", 20)

    async def watch(self) -> None:
        """Record the times at which the service is ready, until cancelled."""
        with self.service.log_file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            rest = b""
            while True:
                await asyncio.sleep(0.02)
                *lines, rest = (rest + log.read()).split(b"\n")
                self.ready_s += [time.monotonic() for line in lines if b"ready: Asterisk" in line]

    def disturbed(self, begun_s: float, over_s: float) -> bool:
        """True if a fault may have affected a call between these times."""
        return any(first_s <= over_s + WRITES_S and begun_s <= last_s + SETTLES_S for first_s, last_s in self._spans())

    def _spans(self) -> Iterator[tuple[float, float]]:
        for struck_s, done_s, mishap in self.struck:
            back_s = next((at_s for at_s in self.ready_s if at_s > struck_s), time.monotonic())
            yield struck_s, back_s if mishap in _UNTIL_READY else done_s
        for before, after in pairwise(self.service.lives):  # on a slow machine, the watchdog may act without a fault
            if before.ended_s:
                yield before.silent_s or before.ended_s, after.ready_s or time.monotonic()

    async def _killed(self) -> None:
        os.kill(self.service.pid, signal.SIGKILL)

    async def _stopped(self) -> None:
        os.kill(self.service.pid, signal.SIGTERM)

    async def _upgraded(self) -> None:
        self.service.reload()

    async def _stands_still(self) -> None:
        os.kill(self.service.pid, signal.SIGSTOP)
        await asyncio.sleep(STILL_S)
        os.kill(self.service.pid, signal.SIGCONT)

    async def _frozen(self) -> None:
        os.kill(self.service.pid, signal.SIGSTOP)

    async def _second(self) -> None:
        process = await asyncio.create_subprocess_exec(
            IDTONE, "serve", "-c", self.service.settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(SECOND_S):
                await process.wait()
        except TimeoutError:  # the first instance was down at that moment
            process.terminate()
            await process.wait()

    async def _cut(self) -> None:
        self.detour.cut()

    async def _dead(self) -> None:
        self.detour.swallow()

    async def _dialplan_reloaded(self) -> None:
        await asyncio.to_thread(self.service.asterisk.command, "dialplan reload")

    async def _reloaded(self) -> None:
        await asyncio.to_thread(self.service.asterisk.command, "core reload")


# -- a round ------------------------------------------------------------------------------------------------------


async def walk_round(
    asterisk: Asterisk, drawn: Round, references: Mapping[str, Any], walked: Callable[[], object] = lambda: None
) -> FinishedRound:
    """Make the calls of a round, many at a time. Calls `walked` after each path."""
    async with CuttableConnection(asterisk.http_port).open() as detour:
        service = WalkedService(asterisk, LAB_REGISTRY, drawn.policy)
        service.ari_port = detour.own_port
        await asyncio.to_thread(service.start)
        try:
            async with lab(asterisk) as phones:
                mishaps = FaultInjector(service, detour)
                watching = asyncio.create_task(mishaps.watch())
                walkers = [Walker(phones, path) for path in drawn.paths]

                async def walk(walker: Walker) -> None:
                    await walker.walk()
                    walked()

                async with asyncio.TaskGroup() as together:
                    together.create_task(mishaps.strike(drawn.mishaps))
                    for walker in walkers:
                        together.create_task(walk(walker))
                left, shells = await _left(asterisk)
                told = await asyncio.to_thread(asterisk.endings)
                records = await _closed(service)
                watching.cancel()
        finally:
            await asyncio.to_thread(service.stop)
    walks = [_measured(walker, drawn, mishaps, told, records, references) for walker in walkers]
    return FinishedRound(drawn, walks, Counter(mishap for _, _, mishap in mishaps.struck), left, shells)


async def _left(asterisk: Asterisk) -> tuple[list[str], int]:
    """Channels and bridges that Asterisk still has after the allowed time, and the number of channel shells.

    If Bridge() takes a channel out of its dialplan, a shell of the channel remains. Asterisk removes the shell later.
    On an overloaded machine, one shell in hundreds stays forever. It has no leg, no thread and no media.
    """
    deadline_s = time.monotonic() + KEPT_S
    while True:
        shown = (await asyncio.to_thread(asterisk.command, "core show channels concise")).splitlines()
        channels = [channel for channel in shown if "!lab-idle!" not in channel]
        shells = [channel for channel in channels if channel.startswith("Surrogate/")]
        left = [channel for channel in channels if channel not in shells]
        if bridges := await asyncio.to_thread(asterisk.bridges):
            left.append(f"{bridges} bridges")
        if not (left or shells) or time.monotonic() > deadline_s:
            return left, len(shells)
        await asyncio.sleep(0.1)


async def _closed(service: WalkedService) -> dict[str, dict[str, Any]]:
    """The ledger's records, after waiting until no record is open.

    Also waits until the ledger has the hook's lines. Waits no longer than allowed.
    """
    await asyncio.to_thread(service.entered, ENTERED_S)
    deadline_s = time.monotonic() + KEPT_S
    while True:
        records = await asyncio.to_thread(service.records)
        closed = all(record["complete"] or "interrupted" in record["times"] for record in records.values())
        if closed or time.monotonic() > deadline_s:
            return records
        await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Figures:
    """Counts and times of many paths."""

    calls: int
    connected: int
    disturbed: int
    complete: int
    interrupted: int
    alone: int
    """Calls that Asterisk served without the service."""
    lost: int
    """Calls that ended unconnected, because the service did not return in time to release the channel."""
    dropped: int
    false_claims: int
    shells: int
    longest_wait_s: float
    """Longest time that a party waited from one step to the next, without the sound."""
    events: dict[str, int]
    mishaps: dict[str, int]

    @classmethod
    def of(cls, rounds: Sequence[FinishedRound]) -> Figures:
        walks = [walk for done in rounds for walk in done.walks]
        waits_s = [wait_s for walk in walks for wait_s in (walk.asked_s, walk.waited_s) if wait_s is not None]
        return cls(
            len(walks),
            sum(walk.connected for walk in walks),
            sum(walk.disturbed for walk in walks),
            sum(walk.complete for walk in walks),
            sum(walk.interrupted and not walk.complete for walk in walks),
            sum(walk.by_fallback for walk in walks),
            sum(walk.lost for walk in walks),
            sum(walk.dropped for walk in walks),
            sum(bool(false_claims(walk)) for walk in walks),
            sum(done.shells for done in rounds),
            max(waits_s, default=0.0),
            dict(Counter(str(walk.event or "none") for walk in walks)),
            {mishap.name.lower(): count for mishap, count in sum((done.struck for done in rounds), Counter()).items()},
        )

    def line(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


@dataclass(frozen=True)
class FinishedRound:
    """Results of a finished round."""

    drawn: Round
    walks: list[PlayedPath]
    struck: Counter[InjectedFault]
    left: list[str]
    """Channels and bridges that still existed after the last call."""
    shells: int
    """Number of channel shells, see `_left`."""

    @property
    def figures(self) -> Figures:
        return Figures.of([self])

    @property
    def complaints(self) -> list[str]:
        """Faults, each with its path."""
        return [
            *(f"{complaint}\n    {walk}" for walk in self.walks for complaint in judge(walk)),
            *(f"left in Asterisk: {channel}" for channel in self.left),
        ]


def _measured(
    walker: Walker,
    drawn: Round,
    mishaps: FaultInjector,
    told: Mapping[str, Told],
    records: Mapping[str, Mapping[str, Any]],
    references: Mapping[str, Any],
) -> PlayedPath:
    placed, path = walker.placed, walker.path
    ending = told.get(placed.name)
    called = placed.called
    heard = {party: listen(placed, party, references) for party in ("called", "caller")}
    last = walker.reached[-1].what if walker.reached else None
    walked_to_its_end = last == path.legs[-1].what and isinstance(last, Event)
    hears = drawn.notify[path.direction]
    sound_s = len(references[ASSOCIATIONS if path.standing == "licensed" else NOTICE]) / 8000
    return PlayedPath(
        path=path,
        hears=hears,
        answered_first=drawn.answered_first,
        disturbed=mishaps.disturbed(walker.begun_s, walker.over_s),
        told=ending,
        record=records.get(ending.call_id) if ending else None,
        sip=placed.caller.final_status,
        rang=called is not None,
        heard=heard,
        step=_step(walker, drawn, hears, sound_s) if walked_to_its_end else None,
        event=last if walked_to_its_end else None,
        asked_s=(called.arrival_ns - walker.begun_ns) / 1e9 if called else None,
        waited_s=_waited_s(heard, references),
        held=frozenset(party for move, party in HOLDS.items() if move in {leg.what for leg in walker.reached}),
        hung=walker.hung,
    )


def _step(walker: Walker, drawn: Round, hears: str, sound_s: float) -> Step | None:
    """Step of the call at the path's last act, as far as the phones can tell, or None if it is uncertain."""
    step = Step.DIALLING
    for leg in walker.reached[:-1]:
        step = GOES_TO.get(leg.what, step) if isinstance(leg.what, Move) else step
    if step is not Step.ANSWERED:
        return step
    elapsed_s = walker.after_the_answer_s or 0.0
    if drawn.answered_first and hears != "called":
        return Step.CONNECTED if elapsed_s > sound_s + UNSURE_S else None
    if walker.connected_before_the_end:
        return Step.CONNECTED
    if elapsed_s > sound_s - UNSURE_S:
        return Step.CONNECTING
    return Step.SOUNDING if elapsed_s > UNSURE_S else Step.ANSWERED


def listen(placed: PlacedCall, party: str, references: Mapping[str, Any]) -> HeardSounds:
    called = placed.called
    if called is None or called.answered_ns is None:
        return SILENCE
    call, voice = (called, voices.CALLER) if party == "called" else (placed.caller, voices.CALLED)
    capture = Capture([packet for packet in call.packets if packet.payload_type in CODECS], called.answered_ns)
    measured = {name: hear_each(in_order(capture.packets), 0, reference=one) for name, one in references.items()}
    cut = call.ended_ns is not None and call.ended_by == "us"
    # With early media, the parties hear each other before the answer, and packets in transit arrive after it.
    settled_ns = called.answered_ns + 5 * FRAME_NS
    later = Capture([each for each in capture.packets if each.arrival_ns > settled_ns], called.answered_ns)
    voice_ms = hear(in_order(later.packets), 0, voice=voice).voice_ms
    return HeardSounds(
        {name: capture.arrival_ms(each[0].end_ms) for name, each in measured.items() if each[0].end_ms is not None},
        frozenset(name for name, each in measured.items() if any(_is_whole(one, capture, cut) for one in each)),
        None if voice_ms is None else later.arrival_ms(voice_ms),
    )


@dataclass(frozen=True)
class Capture:
    """Packets of one phone, in the order of arrival.

    On a busy machine, this order differs from that of their time stamps. A delayed packet arrives in a later burst,
    with a time stamp from before its arrival.
    """

    packets: Sequence[Packet]
    answered_ns: int

    def arrival_ms(self, at_ms: float) -> float:
        """Arrival of the packet for the position `at_ms` in the signal, in ms after the answer."""
        packet = self.packets[min(int(at_ms // FRAME_MS), len(self.packets) - 1)]
        return (packet.arrival_ns - self.answered_ns) / 1e6


def _is_whole(one: DetectedSound, capture: Capture, cut: bool) -> bool:
    """True if all frames were heard.

    If `cut`, the last frames may be missing, because they were in transit when the call ended.
    """
    if one.end_ms is None:
        return False
    under_way = 2 if cut and len(capture.packets) * FRAME_MS < one.end_ms + 2 * FRAME_MS else 0
    return min(one.frames[: len(one.frames) - under_way]) >= INTACT


def _waited_s(heard: Mapping[str, HeardSounds], references: Mapping[str, Any]) -> float | None:
    """Seconds from the answer to the other party's voice, minus the longest complete sound before it."""
    voices_ms = [one.voice_ms for one in heard.values() if one.voice_ms is not None]
    sounds_ms = [len(references[name]) / 8 for one in heard.values() for name in one.sounds]
    return (min(voices_ms) - max(sounds_ms, default=0.0)) / 1000 if voices_ms else None
