"""Faults of Asterisk, of its connection with the service, and of the clock, at every step of the table."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.asterisk import Asterisk
from lab.calls.assert_proved import POLICY
from lab.calls.cuttable_connection import CuttableConnection, cuttable_service
from lab.calls.fault_at_every_step import EVERYWHERE, bring_to_steps, dial_all, evidence_kind, records_after_fault
from lab.endings import Event, Evidence, Step
from lab.lab import lab, wait_until
from lab.nightly_tests import rest_at_night, rest_in_breadth
from lab.packages import faketime
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sound_detection import identify

# -- Asterisk -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def still(service: Service) -> AsyncIterator[None]:
    process = service.asterisk.process
    assert process
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(3)
    finally:
        process.send_signal(signal.SIGCONT)
    yield


@asynccontextmanager
async def reloaded(service: Service) -> AsyncIterator[None]:
    await asyncio.to_thread(service.asterisk.command, "core reload")
    yield


@pytest.mark.parametrize(("event", "blow"), [(Event.ASTERISK_FROZEN, still), (Event.ASTERISK_RELOADED, reloaded)])
async def test_asterisk(serving, references, event, blow):
    await records_after_fault(serving(policy=POLICY), event, blow, references)


@pytest.mark.nightly
async def test_asterisk_is_killed(installation, tmp_path, references):
    """Asterisk reports nothing more about the calls. The evidence claims no sound that the phone did not hear."""
    with Asterisk(installation, tmp_path / "pbx") as asterisk, Service(asterisk, LAB_REGISTRY, POLICY) as service:
        async with lab(asterisk) as phones:
            placed, moment = await bring_to_steps(phones, EVERYWHERE, None)
            placed |= dial_all(phones, moment, (at for at in EVERYWHERE if at.step is Step.DECIDING))
            assert asterisk.process
            asterisk.process.kill()
            await asyncio.to_thread(asterisk.process.wait)
            killed = datetime.now(UTC)
            moment.over.set()
            await asyncio.to_thread(asterisk.start)
            await wait_until(lambda: service.log().count("ready: Asterisk") == 2, "the service to be ready again", 10)

            def before() -> list[dict[str, Any]]:
                """Records of calls from before the kill.

                A phone without an answer repeats its INVITE, and the next Asterisk serves it. These calls are later.
                """
                records = service.records().values()
                return [each for each in records if datetime.fromisoformat(min(each["times"].values())) < killed]

            await wait_until(lambda: all(map(evidence_kind, before())), "every record to be closed")
        heard = [identify(each.called.packets, references) for each in placed.values() if each.called]
    records = before()
    ended = Counter(map(evidence_kind, records))
    assert ended.keys() <= {Evidence.INTERRUPTED, Evidence.COMPLETE}
    assert ended[Evidence.INTERRUPTED] >= sum(at.step is not Step.DECIDING for at in placed)
    claimed = sum("called" in record["known_by"] for record in records)
    assert 0 < claimed <= heard.count("sample")


# -- the line between the two -------------------------------------------------------------------------------------


@asynccontextmanager
async def broken(detour: CuttableConnection, how: str) -> AsyncIterator[None]:
    getattr(detour, how)()
    yield


@rest_in_breadth(("event", "how"), [(Event.LINE_CUT, "cut"), (Event.LINE_DEAD, "swallow")])
async def test_the_line(asterisk, shared_service, references, event, how):
    shared_service.stop()
    async with cuttable_service(asterisk, policy=POLICY) as (service, detour):
        await records_after_fault(service, event, lambda _: broken(detour, how), references)


# -- the clock ----------------------------------------------------------------------------------------------------


@dataclass
class OtherTime(Service):
    """A service whose time of day the test sets.

    The service looks at it each second. Its monotonic clock is the machine's.
    """

    forks = False

    def _environment(self) -> dict[str, str]:
        self.told = self.asterisk.scratch / "time"
        self.tell("+0")
        return super()._environment() | {
            "FAKETIME_TIMESTAMP_FILE": str(self.told),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def as_itself(self, command: Sequence[object]) -> list[str]:
        """A command that preloads the library only after it has become the service's user.

        Otherwise the library would create files that this user cannot read.
        """
        return super().as_itself(["env", f"LD_PRELOAD={faketime()}", *command])

    def tell(self, offset: str) -> None:
        draft = self.told.with_suffix(".draft")
        draft.write_text(offset)
        draft.replace(self.told)


@asynccontextmanager
async def stepped(service: OtherTime, offset: str) -> AsyncIterator[None]:
    service.tell(offset)
    yield


@rest_at_night("offset", ["-3600", "+3600"])
async def test_the_clock(asterisk, shared_service, references, offset):
    shared_service.stop()
    with OtherTime(asterisk, LAB_REGISTRY, POLICY) as service:
        await records_after_fault(service, Event.CLOCK_STEPPED, lambda _: stepped(service, offset), references)
        # All calls of the fault may have ended before the service looked at the other time, which it does once a
        # second.
        async with lab(asterisk) as phones:
            _, ending = await phones.call(talk_s=0.05)
        record = service.record(ending.call_id)
    ahead_s = (datetime.fromisoformat(record["times"]["decided"]) - datetime.now(UTC)).total_seconds()
    assert abs(ahead_s - float(offset)) < 60
