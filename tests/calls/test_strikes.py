"""What can fail, struck on a real Asterisk while calls are at every step of the table: the service, what it stands on,
the sound, the line between the two, Asterisk itself, and the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ..conftest import LAB_REGISTRY
from ..endings import Event, Evidence, Step
from ..lab.asterisk import Asterisk
from ..lab.heard import identify
from ..lab.lab import Forwarding, lab, until
from ..lab.packages import faketime
from ..lab.service import Service
from .detour import Detour, far
from .proving import POLICY
from .striking import EVERYWHERE, Strike, caught, complaints, dial, fate, kept, strike

Blow = Callable[[Service], AbstractAsyncContextManager[object]]


@pytest.fixture
def own(asterisk, beside, tmp_path) -> Iterator[Service]:
    """A service that the test may harm, with a registry that it may change."""
    beside.away()
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text())
    with Service(asterisk, registry, POLICY) as service:
        yield service


async def struck(service: Service, event: Event, blow: Blow, references, *, held: bool = False) -> list[dict[str, Any]]:
    """Strike, and hold what became of the calls against the table; their evidence."""

    def hold() -> None:
        assert service.process
        service.process.send_signal(signal.SIGSTOP)

    async with lab(service.asterisk) as phones:
        fates = await strike(phones, blow(service), references, hold if held else None)
    with contextlib.suppress(AssertionError, RuntimeError):  # then it is among the complaints
        await asyncio.to_thread(service.entered)
        await until(lambda: all(map(kept, service.records().values())), "every record to be closed")
    records = service.records()
    found = complaints(event, fates, records)
    assert not found, "\n".join(found)
    return [records[fate.told.call_id] for fate in fates.values() if fate.told.call_id in records]


# -- the sound ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def other_files(sounds: Path, make: Callable[[Path, bytes], object]) -> AsyncIterator[None]:
    """The sample's files are other ones for a while; what is being played goes on with those that it has."""
    kept = exchange(sounds, make)
    try:
        yield
    finally:
        restore(kept)


def exchange(sounds: Path, make: Callable[[Path, bytes], object]) -> dict[Path, Path]:
    kept = {path: path.with_name(f"kept-{path.name}") for path in sounds.glob("sample.*")}
    assert kept
    for path, beside in kept.items():
        path.rename(beside)
        make(path, beside.read_bytes())
    return kept


def restore(kept: dict[Path, Path]) -> None:
    for path, beside in kept.items():
        if path.is_dir():
            path.rmdir()
        beside.replace(path)


FILES = {
    "missing": (Event.SOUND_MISSING, lambda path, was: None),
    "unreadable": (Event.SOUND_MISSING, lambda path, was: path.mkdir()),
    "too short": (Event.PLAYBACK_FAILED, lambda path, was: path.write_bytes(was[: len(was) // 4])),
    "too long": (Event.PLAYBACK_LONG, lambda path, was: path.write_bytes(was * 8)),
}


@pytest.mark.parametrize("what", FILES)
async def test_a_sound_that_cannot_be_played(serving, references, what):
    event, make = FILES[what]
    await struck(serving(policy=POLICY), event, lambda service: other_files(service.asterisk.sounds, make), references)


# -- what the service stands on -----------------------------------------------------------------------------------


@asynccontextmanager
async def other_registry(service: Service, text: str | None, said: str) -> AsyncIterator[None]:
    already = len(service.log())
    if text is None:
        service.registry.unlink()
    else:
        draft = service.registry.with_name("draft.yaml")
        draft.write_text(text)
        draft.replace(service.registry)
    await until(lambda: said in service.log()[already:], "the service to look at its registry")
    yield


def expired(text: str) -> str:
    return (
        text.replace("version: 42", "version: 43")
        .replace("issued: 2026-11", "issued: 2026-10")
        .replace("expires: 2036-", "expires: 2026-")
    )


@asynccontextmanager
async def locked(service: Service) -> AsyncIterator[None]:
    """By another program, for as long as the calls go on, and longer than SQLite waits."""
    connection = sqlite3.connect(service.ledger, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@asynccontextmanager
async def full(service: Service) -> AsyncIterator[None]:
    """Nothing that the service writes gets onto the disk, its log included."""
    assert service.process
    pid = service.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(service.start)


GROUND: dict[str, tuple[Event, Blow]] = {
    "a corrupt registry": (
        Event.REGISTRY_UNUSABLE,
        lambda service: other_registry(service, "registry: {\0", "stays in use"),
    ),
    "no registry": (Event.REGISTRY_UNUSABLE, lambda service: other_registry(service, None, "stays in use")),
    "an expired registry": (
        Event.REGISTRY_STALE,
        lambda service: other_registry(service, expired(LAB_REGISTRY.read_text()), "version 43 is in use"),
    ),
    "a locked ledger": (Event.LEDGER_LOCKED, locked),
    "a full disk": (Event.DISK_FULL, full),
}


@pytest.mark.parametrize("what", GROUND)
async def test_what_the_service_stands_on(own, references, what):
    event, blow = GROUND[what]
    await struck(own, event, blow, references)


# -- the service --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def killed(service: Service) -> AsyncIterator[None]:
    await asyncio.to_thread(service.stop, signal.SIGKILL)
    yield
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def frozen(service: Service) -> AsyncIterator[None]:
    """Nobody watches over it, so that it stands still for as long as the calls go on."""
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def stopped(service: Service) -> AsyncIterator[None]:
    stopping = asyncio.create_task(asyncio.to_thread(service.stop))
    yield
    assert await stopping == 0
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def replaced(service: Service) -> AsyncIterator[None]:
    before = service.process
    starting = asyncio.create_task(asyncio.to_thread(service.start, "--take-over"))
    yield
    await starting
    assert before
    assert await asyncio.to_thread(before.wait, 10) == 0


@asynccontextmanager
async def joined(service: Service) -> AsyncIterator[None]:
    second = Service(service.asterisk, service.registry, service.policy)
    second.log_file = service.log_file.with_name("second.log")
    with pytest.raises(RuntimeError, match="another process writes to this ledger"):
        await asyncio.to_thread(second.start)
    yield


LIFE: dict[Event, tuple[Blow, bool]] = {
    Event.SERVICE_KILLED: (killed, True),
    Event.SERVICE_FROZEN: (frozen, True),
    Event.SERVICE_STOPPED: (stopped, False),
    Event.SERVICE_REPLACED: (replaced, False),
    Event.SECOND_INSTANCE: (joined, False),
}
"""And whether it is kept from deciding a moment before."""


@pytest.mark.parametrize("event", LIFE)
async def test_the_service(own, references, event):
    blow, held = LIFE[event]
    await struck(own, event, blow, references, held=held)


async def test_a_caller_who_gives_up_while_it_is_decided(own, references):
    where = tuple(at for at in EVERYWHERE if at.step is Step.DECIDING)
    async with lab(own.asterisk) as phones, frozen(own):
        placed = dial(phones, Strike(), where)
        await asyncio.sleep(0.3)
        for each in placed.values():
            await each.caller.cancel()
        await phones.nothing_is_left()
        fates = {at: await fate(phones, each, references) for at, each in placed.items()}
    async with lab(own.asterisk) as phones:  # whose questions come after theirs
        for interface in ("ari", "agi"):
            await phones.talk_and_hang_up(await phones.place(Forwarding(interface=interface)))
    await asyncio.to_thread(own.entered)
    await until(lambda: all(map(kept, own.records().values())), "every record to be closed")
    assert not complaints(Event.CALLER_HANGS_UP, fates, own.records())
    assert not any(each.called for each in placed.values())


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
    await struck(serving(policy=POLICY), event, blow, references)


async def test_asterisk_is_killed(installation, tmp_path, references):
    """Nothing of the calls is left to be told; what is in the evidence was so."""
    with Asterisk(installation, tmp_path / "pbx") as asterisk, Service(asterisk, LAB_REGISTRY, POLICY) as service:
        async with lab(asterisk) as phones:
            placed, moment = await caught(phones, EVERYWHERE, None)
            placed |= dial(phones, moment, (at for at in EVERYWHERE if at.step is Step.DECIDING))
            assert asterisk.process
            asterisk.process.kill()
            await asyncio.to_thread(asterisk.process.wait)
            killed = datetime.now(UTC)
            moment.over.set()
            await asyncio.to_thread(asterisk.start)
            await until(lambda: service.log().count("ready: Asterisk") == 2, "the service to be ready again", 10)

            def before() -> list[dict[str, Any]]:
                """A phone without an answer repeats its INVITE, and the next Asterisk serves it: these are later."""
                records = service.records().values()
                return [each for each in records if datetime.fromisoformat(min(each["times"].values())) < killed]

            await until(lambda: all(map(kept, before())), "every record to be closed")
        heard = [identify(each.called.packets, references) for each in placed.values() if each.called]
    records = before()
    ended = Counter(map(kept, records))
    assert ended.keys() <= {Evidence.INTERRUPTED, Evidence.COMPLETE}
    assert ended[Evidence.INTERRUPTED] >= sum(at.step is not Step.DECIDING for at in placed)
    claimed = sum("called" in record["heard_by"] for record in records)
    assert 0 < claimed <= heard.count("sample")


# -- the line between the two -------------------------------------------------------------------------------------


@asynccontextmanager
async def broken(detour: Detour, how: str) -> AsyncIterator[None]:
    getattr(detour, how)()
    yield


@pytest.mark.parametrize(("event", "how"), [(Event.LINE_CUT, "cut"), (Event.LINE_DEAD, "swallow")])
async def test_the_line(asterisk, beside, references, event, how):
    beside.away()
    async with far(asterisk, policy=POLICY) as (service, detour):
        await struck(service, event, lambda _: broken(detour, how), references)


# -- the clock ----------------------------------------------------------------------------------------------------


@dataclass
class OtherTime(Service):
    """A service to which the time of day can be told, and which looks once a second; its monotonic clock is the
    machine's.
    """

    forks = False

    def _environment(self) -> dict[str, str]:
        self.told = self.asterisk.scratch / "time"
        self.tell("+0")
        return {
            "LD_PRELOAD": str(faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self.told),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def tell(self, offset: str) -> None:
        draft = self.told.with_suffix(".draft")
        draft.write_text(offset)
        draft.replace(self.told)


@asynccontextmanager
async def stepped(service: OtherTime, offset: str) -> AsyncIterator[None]:
    service.tell(offset)
    yield


@pytest.mark.parametrize("offset", ["+3600", "-3600"])
async def test_the_clock(asterisk, beside, references, offset):
    beside.away()
    with OtherTime(asterisk, LAB_REGISTRY, POLICY) as service:
        await struck(service, Event.CLOCK_STEPPED, lambda _: stepped(service, offset), references)
        # The calls of the blow may all have ended before it looked at the other time, which it does once a second.
        async with lab(asterisk) as phones:
            _, ending = await phones.call(talk_s=0.05)
        record = service.record(ending.call_id)
    ahead_s = (datetime.fromisoformat(record["times"]["decided"]) - datetime.now(UTC)).total_seconds()
    assert abs(ahead_s - float(offset)) < 60
