"""The calls of a situation on a real Asterisk, and the record's claims about them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from idtone.core.calls import Delivery, Party
from lab import transfer
from lab.asterisk import LOOPBACK, Ending
from lab.debian_archive import PackagesUnavailable
from lab.incoming_call import IncomingCall
from lab.lab import CALLED_NUMBER, LICENSED, Forwarding, Lab, lab, wait_until
from lab.outgoing_call import OutgoingCall
from lab.phone import Phone, ring
from lab.phones.capture import Address, Capture, sockets
from lab.phones.kinds import KINDS
from lab.phones.network_devices import LossyNetwork, MediaPath, network_device
from lab.phones.pbx import REGISTERED, PhonesPbx
from lab.phones.program import Program
from lab.phones.received_sound import Received, SoundJudge
from lab.phones.rtpengine import Rtpengine
from lab.service import Service

from .claims import PlayedSound, SituationResults
from .situations import OWN, SILENCE, Situation

POLICIES: Final = {
    "called": "notify: {incoming: called, outgoing: both}, waiting: 200",
    "both": "notify: {incoming: called, outgoing: both}, waiting: 200",
    "caller": "notify: {incoming: caller, outgoing: both}, waiting: 200",
}
PARTIES: Final = {"called": (Party.CALLED,), "caller": (Party.CALLER,), "both": (Party.CALLED, Party.CALLER)}
KEPT: Final = 0.6
"""Least share of the sent sound that a recording has if only the phone's own buffer dropped the rest."""
CALL_WITHIN_S: Final = 30.0
DURING_S: Final = 0.1


Heard = tuple[Received, Received | None]
"""The sound that a phone received, and the sound in its recording. The second is None if the first comes from the
recording.
"""


@dataclass
class Trial:
    """The PBX, its service, and what all situations share."""

    pbx: PhonesPbx
    service: Service
    judge: SoundJudge
    folder: Path
    capture: Capture | None = None
    """Captures packets; None if the machine does not allow it. Then the proxy's packets count, or the phone's
    recording.
    """
    tell: Callable[[str], None] = lambda _: None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    async def run(self, situation: Situation, count: int) -> SituationResults:
        """Place `count` calls of a situation, one after the other, and return their results."""
        row = SituationResults(
            situation.what, situation.phone if situation.phone != OWN else situation.caller, nat=situation.nat
        )
        if situation.lacking:
            row.missing = situation.lacking
            return row
        before = await asyncio.to_thread(self.service.records) if situation.way == "own-dial" else {}
        try:
            async with AsyncExitStack() as life:
                calls = await self._calls(life, situation, next(self._numbers), count, row)
        except PackagesUnavailable as error:
            row.missing = str(error)
            return row
        except Exception as error:
            row.unfinished.append(f"{type(error).__name__}: {str(error)[-300:]}")
            return row
        if situation.way == "own-dial":  # which the dialplan of the lab cannot name; these situations run alone
            records = await asyncio.to_thread(self.service.records)
            new = sorted(call_id for call_id in records if call_id not in before)
            records = {name: records[call_id] for (name, _), call_id in zip(calls, new, strict=False)}
        else:
            records = await asyncio.to_thread(self._records, [name for name, _ in calls])
        for name, received in calls:
            if not (record := records.get(name)):
                row.unfinished.append(f"{name}: there is no record")
                continue
            row.calls += 1
            for party, (one, played) in received.items():
                row.soundings.append(
                    PlayedSound(
                        party,
                        one,
                        record["delivery"].get(party, Delivery.NOT_KNOWN),
                        party in record["known_by"],
                        situation.astray or (played is None and one.loud >= one.of * KEPT),
                        played,
                    )
                )
        return row

    async def _calls(
        self, life: AsyncExitStack, situation: Situation, number: int, count: int, row: SituationResults
    ) -> list[tuple[str, dict[Party, Heard]]]:
        desk = await _Desk.open(life, self, situation, number)
        calls = []
        for turn in range(count):
            try:
                async with asyncio.timeout(CALL_WITHIN_S + situation.talk_s):
                    calls.append(await desk.call(turn))
            except (AssertionError, TimeoutError, RuntimeError) as error:
                row.unfinished.append(f"call {turn}: {type(error).__name__} {str(error)[:200]}")
                if len(row.unfinished) > 3 and not calls:
                    break
        return calls

    def _records(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        endings: dict[str, Ending] = self.pbx.endings()
        records = self.service.records()
        return {
            name: records[ending.call_id]
            for name in names
            if (ending := endings.get(name)) and ending.call_id in records
        }


@dataclass
class _Desk:
    """The phones and devices of one situation, and its calls."""

    trial: Trial
    situation: Situation
    number: int
    phones: Lab
    called: Program | None
    caller: Program | None
    target: str
    engine: Rtpengine | None
    media: MediaPath | None
    third: Phone | None
    """The target of an attended transfer."""
    sockets: dict[Party, set[Address]] = field(default_factory=dict)
    """Party → sockets of another maker's phone in the latest call."""
    ended_ns: int = 0
    """End of the latest call. Packets after it come from a relay that was frozen."""

    @classmethod
    async def open(cls, life: AsyncExitStack, trial: Trial, situation: Situation, number: int) -> _Desk:
        folder = trial.folder / str(number)
        folder.mkdir(parents=True)
        phones = await life.enter_async_context(
            lab(trial.pbx, ring if situation.during == "transfer" else situation.behaviour)
        )
        phones.caller.voice = phones.called.voice = SILENCE
        phones.called.announced, phones.called.reports_s = situation.announced, situation.reports_s
        phones.caller.offers = situation.caller_offers
        called = caller = engine = media = None
        target = ""
        if situation.phone != OWN:
            called = KINDS[situation.phone](situation.wanted, folder / "called", trial.pbx, situation.endpoint)
            await life.enter_async_context(called)
            target = called.target
        if situation.between:
            media = situation.between(folder)
            if isinstance(media, Rtpengine):
                engine = media
                engine.start()
                life.callback(engine.stop)
                await engine.ready()
            phone = (LOOPBACK, called.port) if called else phones.called.address
            proxy = await life.enter_async_context(network_device(phone, media))
            target = f"sip:phone@{LOOPBACK}:{proxy.port}"
        if situation.caller != OWN:
            caller = KINDS[situation.caller](
                situation.caller_wanted, folder / "caller", trial.pbx, situation.caller_endpoint
            )
            await life.enter_async_context(caller)
        third = None
        if situation.during == "transfer":
            third = await life.enter_async_context(Phone(phones.caller.media, SILENCE, situation.behaviour))
        return cls(trial, situation, number, phones, called, caller, target, engine, media, third)

    async def call(self, turn: int) -> tuple[str, dict[Party, Heard]]:
        """Place a call; returns its name, and the sound that each party received."""
        name = f"{self.number:03}{turn:05}"
        mark = f";lab={name}"
        since_ns = time.time_ns()
        placed = None if self.caller else await self._placed(name, mark, turn)
        if self.caller:
            await self._dialled(name, mark, turn)
        received: dict[Party, Heard] = {}
        for party in PARTIES[self.situation.hears]:
            program = self.called if party is Party.CALLED else self.caller
            if program:
                await program.over(turn)
                recorded = await asyncio.to_thread(self.trial.judge.recording, program.recording(turn))
                octets = await asyncio.to_thread(self._came, party, since_ns)
                received[party] = (octets, recorded) if octets else (recorded, None)
            else:
                call = placed if party is Party.CALLER else self._reached(mark)
                assert call, f"{name} did not reach the called phone"
                octets = await asyncio.to_thread(self.trial.judge.packets, call.packets)
                received[party] = octets, octets
        return name, received

    def _came(self, party: Party, since_ns: int) -> Received | None:
        """The packets that reached another maker's phone; None if only the phone itself knows."""
        situation = self.situation
        wanted = situation.wanted if party is Party.CALLED else situation.caller_wanted
        endpoint = situation.endpoint if party is Party.CALLED else situation.caller_endpoint
        if endpoint in REGISTERED:  # WebRTC encrypts, and the SSRC never changes
            return None
        plain = not wanted.srtp and wanted.codec != "GSM"
        if self.trial.capture and self.sockets.get(party):
            packets = self.trial.capture.take(self.sockets[party], since_ns, self.ended_ns)
            return self.trial.judge.packets(packets) if plain else self.trial.judge.counted(packets)
        if party is Party.CALLED and isinstance(self.media, LossyNetwork) and plain:
            return self.trial.judge.packets(list(self.media.received))
        return None

    async def _look(self) -> None:
        programs = {Party.CALLED: self.called, Party.CALLER: self.caller}
        self.sockets = {
            party: await asyncio.to_thread(sockets, program.process.pid)
            for party, program in programs.items()
            if program and program.process
        }

    def _reached(self, mark: str) -> IncomingCall | None:
        """The call at the lab's own phone; after a transfer, at the third phone."""
        phone = self.third or self.phones.called
        return next((call for call in phone.calls if mark in str(call.request.uri)), None)

    def _dial_string(self, mark: str) -> str:
        if not self.called:
            host, port = self.phones.called.address
            return f"PJSIP/{self.situation.endpoint}/{self.target or f'sip:phone@{host}:{port}'}{mark}"
        if self.target == self.situation.endpoint:  # it has registered
            return f"PJSIP/{self.target}"
        return f"PJSIP/{self.situation.endpoint}/{self.target}"

    async def _placed(self, name: str, mark: str, turn: int) -> OutgoingCall:
        situation = self.situation
        headers = [
            ("X-Lab-Call", name), ("X-Lab-Called", ""), ("X-Lab-Number", LICENSED), ("X-Lab-Timeout", "10"),
            ("X-Lab-Direction", "outgoing" if situation.hears == "both" else "incoming"), ("X-Lab-Endpoint", "lab"),
            ("X-Lab-Way", situation.way), ("X-Lab-Destination", self._dial_string(mark)),
        ]  # fmt: skip
        outgoing = self.phones.caller.dial(
            CALLED_NUMBER, self.trial.pbx.sip_address, caller_id=Forwarding().caller, headers=headers
        )
        outgoing.stream.quiet = situation.caller_silent
        if self.third:
            await self._transfer(name, mark)
        if situation.during and self.called:
            await self.called.answered(turn)
            await asyncio.sleep(DURING_S)
            await self._disturb()
        await outgoing.final()
        await self._look()
        if outgoing.final_status != 200 and not situation.hangs_up:
            raise RuntimeError(f"the call got {outgoing.final_status}")
        with contextlib.suppress(TimeoutError):
            await outgoing.ended(situation.talk_s)
        await outgoing.hangup()
        self.ended_ns = time.time_ns()
        if self.engine and situation.during == "freeze":
            self.engine.signal(signal.SIGCONT)
        if self.engine and situation.during == "kill":
            self.engine.stop()
            self.engine.start()
            await self.engine.ready()
        return outgoing

    async def _transfer(self, name: str, mark: str) -> None:
        """Transfer the call: the called phone calls the third one, and connects it during the sound."""
        assert self.third
        consulted = await self.phones.called.call(
            str(self.third.address[1]),
            self.trial.pbx.sip_address,
            headers=[("X-Lab-Way", "inside"), ("X-Lab-Call", f"{name}9")],
        )
        calls = self.phones.called.calls
        await wait_until(lambda: calls and mark in str(calls[-1].request.uri), f"{name} to reach the called phone")
        calls[-1].answer()
        await asyncio.sleep(DURING_S)
        assert (await transfer.attended(calls[-1], consulted)).status == 202
        assert await transfer.outcome(calls[-1]) == 200
        await asyncio.sleep(DURING_S)  # Asterisk reports the transfer before it has moved the channel
        await calls[-1].hangup()

    async def _disturb(self) -> None:
        assert self.engine
        self.engine.signal(signal.SIGSTOP if self.situation.during == "freeze" else signal.SIGKILL)

    async def _dialled(self, name: str, mark: str, turn: int) -> None:
        assert self.caller
        pbx, situation = self.trial.pbx, self.situation
        direction = "outgoing" if situation.hears == "both" else "incoming"
        await asyncio.to_thread(
            pbx.command, f"dialplan set global PHONES_DIAL_{self.number:03} {self._dial_string(mark)}"
        )
        await asyncio.to_thread(pbx.command, f"dialplan set global PHONES_DIRECTION_{self.number:03} {direction}")
        await self.caller.dial(name)
        await self.caller.connected(turn)
        await self._look()
        await asyncio.sleep(situation.talk_s)
        await self.caller.hang_up()
        await self.caller.over(turn)
        self.ended_ns = time.time_ns()
        if not self.called and (reached := self._reached(mark)):
            await reached.ended()
